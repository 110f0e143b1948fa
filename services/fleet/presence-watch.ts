import { RastroError } from "../../lib/contracts/errors.ts";
import { filters, topics } from "../../lib/contracts/topics.ts";
import type { Link } from "../../lib/messaging/link.ts";
import type { Principals } from "../../lib/messaging/principals.ts";
import type { After } from "../../lib/messaging/timing.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { RefusedMessage } from "../../lib/runtime/refusal-event.ts";
import { absentSince, concludedOffline, GRACE } from "./absent-after-restart.ts";
import { type MachineSaid, readMachineSaid } from "./machine-said.ts";
import type { Register } from "./register.ts";
import type { SignsOfLife } from "./signs-of-life.ts";

export type PresenceWatchOptions = {
  link: Link;
  principals: Pick<Principals, "byName" | "onChange">;
  register: Register;
  signs: SignsOfLife;
  now: () => number;
  after: After;
  /** Called when what a machine said of its presence is on disk. */
  onPresence: (machine: string) => void;
  onRefused: (refused: RefusedMessage) => void;
  log: Logger;
};

/**
 * Follows what machines say of themselves, and says it of those that cannot: five seconds after each connection of
 * its own, machines that the register calls online and that nobody has heard since the last one went are published as
 * `offline, hub-restart`, retained; and machines that are revoked as `offline, revoked`, whatever was said before or comes
 * after, such as the will of a connection that was cut.
 */
export async function watchPresence(o: PresenceWatchOptions): Promise<void> {
  const { link, register, signs, now } = o;
  let heardFrom = now();
  link.onDown(() => (heardFrom = now()));

  async function take(topic: string, payload: Buffer, retained: boolean): Promise<void> {
    const said = readOrRefuse(o, topic, payload);
    if (said === null) return;
    if (said.kind === "summary") {
      if (said.summary !== null) signs.heard(said.machine, said.summary, retained);
      return;
    }
    if (said.presence?.online) signs.heard(said.machine, null, retained);
    await register.take(said.machine, said.presence);
    o.onPresence(said.machine);
    await tellRevoked(said.machine);
  }

  async function conclude(machine: string, why: "hub-restart" | "revoked"): Promise<void> {
    const last = register.presence(machine);
    if (last === undefined) return;
    const presence = concludedOffline(last, why, now());
    await link.publish(topics.presence(machine), JSON.stringify(presence), { qos: 1, retain: true });
    await register.take(machine, presence);
  }

  async function tellRevoked(machine: string): Promise<void> {
    const principal = o.principals.byName(machine);
    if (principal === undefined || principal.active || register.presence(machine)?.why === "revoked") return;
    await conclude(machine, "revoked");
  }

  async function presumeAbsent(connection: string): Promise<void> {
    // A connection that went within the grace says nothing about machines; the next one begins a grace of its own.
    if (link.connection !== connection || !link.connected) return;
    for (const machine of absentSince({ register, signs, since: heardFrom })) {
      o.log.warn({ machine }, "not heard since the hub came back: presumed offline");
      await conclude(machine, "hub-restart");
    }
  }

  o.principals.onChange((name) => {
    tellRevoked(name).catch((error: unknown) =>
      o.log.error({ err: error, machine: name }, "it was not published that a machine is revoked"),
    );
  });
  await link.subscribe([filters.everyPresence, filters.everySummary], take);
  link.onUp((connection) => {
    o.after(GRACE, () => {
      presumeAbsent(connection).catch((error: unknown) =>
        o.log.error({ err: error }, "looking for absent machines failed"),
      );
    });
  });
}

function readOrRefuse(o: PresenceWatchOptions, topic: string, payload: Buffer): MachineSaid | null {
  try {
    return readMachineSaid(topic, payload);
  } catch (thrown) {
    if (!(thrown instanceof RastroError)) throw thrown;
    const from = topic.split("/")[1] ?? "";
    o.log.warn({ topic, code: thrown.code, payload: payload.subarray(0, 200).toString("utf8") }, thrown.message);
    o.onRefused({ topic, from, code: thrown.code });
    return null;
  }
}
