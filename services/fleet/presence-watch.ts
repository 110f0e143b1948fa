import { CONNECTED_MACHINES } from "../../lib/contracts/connected-machines.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { filters, topics } from "../../lib/contracts/topics.ts";
import type { Link } from "../../lib/messaging/link.ts";
import type { Principals } from "../../lib/messaging/principals.ts";
import type { After } from "../../lib/messaging/timing.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { RefusedMessage } from "../../lib/runtime/refusal-event.ts";
import { absentSince, type Concluded, concluded, GRACE } from "./absent-after-restart.ts";
import { CONNECTED_WITHIN, contradictionOf } from "./contradiction.ts";
import type { Duplicates } from "./duplicates.ts";
import { type HubView, readConnectedMachines } from "./hub-view.ts";
import { readMachineSaid } from "./machine-said.ts";
import type { Register } from "./register.ts";
import type { SignsOfLife } from "./signs-of-life.ts";

export type PresenceWatchOptions = {
  link: Link;
  principals: Pick<Principals, "byName" | "onChange">;
  register: Register;
  signs: SignsOfLife;
  hub: HubView;
  duplicates: Pick<Duplicates, "note">;
  now: () => number;
  after: After;
  /** Called when what a machine said of its presence is on disk. */
  onPresence: (machine: string) => void;
  onRefused: (refused: RefusedMessage) => void;
  log: Logger;
};

/**
 * Follows what machines say of themselves, and says it of those that cannot, retained: `no-connection` of one that is
 * called online and with which the hub has none, a second later; `silent` of an agent from which nothing comes any more,
 * and `heard` once something does; five seconds after each connection of its own `hub-restart` of those that have not
 * come back; `revoked` of machines that are revoked, whatever was said before or comes after, such as the will of a
 * connection that was cut.
 */
export async function watchPresence(o: PresenceWatchOptions): Promise<void> {
  const { link, register, signs, hub, now } = o;
  const concluding = new Set<string>();
  let heardFrom = now();
  let looksAgain = false;

  link.onDown(() => {
    heardFrom = now();
    hub.forget();
  });

  async function take(topic: string, payload: Buffer, retained: boolean): Promise<void> {
    const said = readOrRefuse(o, topic, () => readMachineSaid(topic, payload), payload);
    if (said === null) return;
    if (said.kind === "summary") {
      if (said.summary !== null) signs.heard(said.machine, said.summary, retained);
      return;
    }
    if (said.presence?.online) signs.heard(said.machine, null, retained);
    const repeated = o.duplicates.note(said.machine, said.presence);
    if (repeated && register.presence(said.machine)?.online) return;
    await register.take(said.machine, said.presence);
    o.onPresence(said.machine);
    await tellRevoked(said.machine);
    await compare([said.machine]);
  }

  async function conclude(machine: string, why: Concluded): Promise<void> {
    const last = register.presence(machine);
    if (last === undefined || concluding.has(machine)) return;
    concluding.add(machine);
    try {
      const presence = concluded(last, why, now());
      await link.publish(topics.presence(machine), JSON.stringify(presence), { qos: 1, retain: true });
      await register.take(machine, presence);
    } finally {
      concluding.delete(machine);
    }
    o.onPresence(machine);
  }

  /** Holds what is said of machines against what the hub itself sees. */
  async function compare(machines: string[]): Promise<void> {
    const found = machines.map((machine) => ({ machine, why: contradicted(machine) }));
    if (found.some(({ why }) => why === "wait")) lookAgain();
    const sure = found.flatMap(({ machine, why }) => (why === null || why === "wait" ? [] : [{ machine, why }]));
    await Promise.all(sure.map(({ machine, why }) => conclude(machine, why)));
  }

  function contradicted(machine: string) {
    const presence = register.presence(machine);
    if (presence === undefined || o.principals.byName(machine)?.active === false) return null;
    return contradictionOf({
      presence,
      seen: hub.of(machine),
      reports: signs.reports(machine),
      heardAt: signs.heardSince(machine, heardFrom) ? signs.heardAt(machine) : null,
      now: now(),
    });
  }

  function lookAgain(): void {
    if (looksAgain) return;
    looksAgain = true;
    o.after(CONNECTED_WITHIN, () => {
      looksAgain = false;
      attempt("comparing with the connections of the hub", compare(register.names()));
    });
  }

  async function tellRevoked(machine: string): Promise<void> {
    const principal = o.principals.byName(machine);
    if (principal === undefined || principal.active || register.presence(machine)?.why === "revoked") return;
    await conclude(machine, "revoked");
  }

  async function presumeAbsent(connection: string): Promise<void> {
    // A connection that went within the grace says nothing about machines; the next one begins a grace of its own.
    if (link.connection !== connection || !link.connected) return;
    for (const machine of absentSince({ register, signs, hub, since: heardFrom })) {
      o.log.warn({ machine }, "not heard since the hub came back: presumed offline");
      await conclude(machine, "hub-restart");
    }
  }

  /** A broker that is not ours may refuse it; then presence, wills and summaries have to do. */
  async function followHub(): Promise<void> {
    const takeFromHub = async (topic: string, payload: Buffer) => {
      const said = readOrRefuse(o, topic, () => readConnectedMachines(payload), payload);
      if (said === null) return;
      hub.take(said);
      await compare(register.names());
    };
    try {
      await link.subscribe(CONNECTED_MACHINES, takeFromHub);
    } catch (thrown) {
      if (!(thrown instanceof RastroError) || thrown.code !== "not_allowed") throw thrown;
      o.log.warn("the broker does not tell which machines it is connected with");
    }
  }

  function attempt(what: string, work: Promise<unknown>): void {
    work.catch((error: unknown) => o.log.error({ err: error }, `${what} failed`));
  }

  o.principals.onChange((name) => attempt("telling that a machine is revoked", tellRevoked(name)));
  await link.subscribe([filters.everyPresence, filters.everySummary], take);
  await followHub();
  link.onUp((connection) => {
    o.after(GRACE, () => attempt("looking for absent machines", presumeAbsent(connection)));
  });
}

/** Null, too, for what is none of the fleet's business. */
function readOrRefuse<T>(o: PresenceWatchOptions, topic: string, read: () => T, payload: Buffer): T | null {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof RastroError)) throw thrown;
    const from = topic.split("/")[1] ?? "";
    o.log.warn({ topic, code: thrown.code, payload: payload.subarray(0, 200).toString("utf8") }, thrown.message);
    o.onRefused({ topic, from, code: thrown.code });
    return null;
  }
}
