import type { EventDraft } from "../lib/contracts/events.ts";
import type { ClockState } from "./clock-state.ts";

export type StartFacts = {
  machine: string;
  boot: string;
  /** Software and version. */
  app: string;
  /** Version of the runtime, name of the operating system, processor architecture. */
  host: { node: string; os: string; arch: string };
  /** Fingerprint of the machine's key. */
  key: string;
};

export type Moment = { id: string; at: string; tz: string; clock: ClockState };

/** What the agent tells the audit book of its own start. */
export function agentStarted({ machine, boot, app, host, key }: StartFacts, moment: Moment): EventDraft {
  return {
    ...moment,
    type: "agent.started",
    actor: { sub: machine, auth: "device" },
    obj: { kind: "machine", key: machine },
    reason: null,
    payload: { boot, app, node: host.node, os: host.os, arch: host.arch, key },
  };
}
