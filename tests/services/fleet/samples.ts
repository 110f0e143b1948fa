import type { Presence, Summary } from "../../../lib/contracts/machine.ts";

export const NOW = Date.parse("2026-11-24T12:00:00.000Z");

export function presence(given: Partial<Presence> = {}): Presence {
  return {
    v: 1,
    online: true,
    since: "2026-11-24T11:00:00.000Z",
    why: "birth",
    connection: "c-1",
    boot: "b-1",
    app: "edge-agent@test",
    key: "0123456789abcdef",
    ...given,
  };
}

export function summary(given: { rateMilliHz?: number; waiting?: number[] } = {}): Summary {
  const outboxOf = (waiting: number) => ({
    book: "production",
    waiting,
    sealed: 0,
    oldest: null,
    bytes: 0,
    lastError: null,
  });
  return {
    v: 1,
    t: NOW,
    app: "edge-agent@summary",
    host: { os: "linux", arch: "x64", cpus: 2, node: "v24" },
    uptimeS: { agent: 1, host: 2 },
    status: { rateMilliHz: given.rateMilliHz ?? 999_812, gapUs: { p50: 1000, p99: 1300, max: 2000 }, skipped: 0 },
    outbox: (given.waiting ?? [2, 3]).map(outboxOf),
    clock: { source: "ntp", offsetMs: 0 },
    memory: { totalMiB: 1, usedMiB: 1 },
    disks: [],
    network: [],
    temperature: null,
    agentCpu: null,
    agentRssMiB: 50,
    witness: [],
  };
}
