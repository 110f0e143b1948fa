import { toProblem } from "../../../lib/contracts/errors.ts";
import { topics } from "../../../lib/contracts/topics.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { Register } from "../register.ts";
import { type CommandRecord, stepOf } from "./command-record.ts";
import type { CommandStore } from "./command-store.ts";

export type Dispatch = {
  /** Publishes what is open for a machine and was not yet published over the connections of the moment. */
  toMachine(machine: string): Promise<void>;
  toAll(): Promise<void>;
};

/**
 * Sends commands to machines that are there. MQTT's QoS 1 ends with the connection, since agents use clean sessions:
 * so every open command goes out again over each new connection, of the machine or of the fleet, until its result is
 * here. A machine that has executed it answers with what it has stored.
 */
export function createDispatch(o: {
  link: Pick<Link, "connected" | "connection" | "publish">;
  register: Pick<Register, "presence" | "online">;
  commands: Pick<CommandStore, "open" | "advance">;
  now: () => number;
  log: Logger;
}): Dispatch {
  const sentOver = new Map<string, string>();

  async function toMachine(machine: string): Promise<void> {
    const presence = o.register.presence(machine);
    if (presence?.online !== true || !o.link.connected) return;
    const over = `${o.link.connection}/${presence.connection}`;
    const due = o.commands.open(machine).filter((record) => sentOver.get(record.command.id) !== over);
    for (const record of due) sentOver.set(record.command.id, over);
    for (const record of due) await send(record);
  }

  async function send(record: CommandRecord): Promise<void> {
    const { command, signed } = record;
    const { id, machine, name } = command;
    if (stepOf(record).state === "queued") {
      if (Date.parse(command.notAfter) < o.now()) return;
      // Before the publish, so that an acknowledgement cannot overtake it.
      await o.commands.advance(id, { kind: "sent" });
    }
    try {
      await o.link.publish(topics.command(machine, name), JSON.stringify(signed), { qos: 1, retain: false });
    } catch (error) {
      sentOver.delete(id);
      o.log.info({ id, machine, code: toProblem(error).code }, "a command could not be sent; the next connection will");
    }
  }

  function forgetEnded(): void {
    const open = new Set(o.commands.open().map(({ command }) => command.id));
    for (const id of sentOver.keys()) if (!open.has(id)) sentOver.delete(id);
  }

  return {
    toMachine,
    async toAll() {
      forgetEnded();
      for (const machine of o.register.online()) await toMachine(machine);
    },
  };
}
