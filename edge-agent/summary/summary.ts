import type { Summary } from "../../lib/contracts/machine.ts";
import type { ClockState } from "../clock-state.ts";
import type { HostFigures } from "../host/sampler.ts";
import type { Rate } from "../status/rate-meter.ts";

/** What an outbox says of itself, and the sender's last error beside it. */
export type OutboxDepth = { waiting: number; sealed: number; oldest: string | null; bytes: number };
export type OutboxReport = OutboxDepth & { book: string; lastError: string | null };

/** What does not change while the agent runs. */
export type Identity = { app: string; host: Summary["host"] };

export type Load = { agentCpu: number | null; agentRssMiB: number };

export type SummaryParts = {
  identity: Identity;
  /** Wall clock, ms. */
  t: number;
  uptimeS: Summary["uptimeS"];
  rate: Rate;
  skipped: number;
  outboxes: OutboxReport[];
  clock: ClockState;
  figures: HostFigures;
  load: Load;
  witness: Summary["witness"];
};

/** Puts together what a person reads once a second. */
export function summaryOf({
  identity,
  t,
  uptimeS,
  rate,
  skipped,
  outboxes,
  clock,
  figures,
  load,
  witness,
}: SummaryParts): Summary {
  const { memory, disks, network, temperature } = figures;
  return {
    v: 1,
    t,
    app: identity.app,
    host: identity.host,
    uptimeS,
    status: { ...rate, skipped },
    outbox: outboxes,
    clock,
    memory: { totalMiB: mebibytes(memory?.totalBytes), usedMiB: mebibytes(memory?.usedBytes) },
    disks: disks.map((disk) => ({
      mount: disk.mount,
      totalMiB: mebibytes(disk.totalBytes),
      usedMiB: mebibytes(disk.usedBytes),
    })),
    network,
    temperature,
    ...load,
    witness,
  };
}

function mebibytes(bytes: number): number;
function mebibytes(bytes: number | undefined): number | null;
function mebibytes(bytes: number | undefined): number | null {
  return bytes === undefined ? null : Math.round(bytes / 1_048_576);
}
