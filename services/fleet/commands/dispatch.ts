import { isOpen } from "../../../lib/contracts/commands.ts";
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
  commands: Pick<CommandStore, "open" | "find" | "advance">;
  now: () => number;
  log: Logger;
}): Dispatch {
  const sentOver = new Map<string, string>();

  async function toMachine(machine: string): Promise<void> {
    const presence = o.register.presence(machine);
    if (presence?.online !== true || !o.link.connected) return;
    const over = `${o.link.connection}/${presence.connection}`;
    const signed = o.commands.open(machine).filter((record) => record.signed !== null);
    const due = signed.filter((record) => sentOver.get(record.command.id) !== over);
    for (const record of due) sentOver.set(record.command.id, over);
    for (const record of due) if (await isToBeSent(record.command.id)) await send(record);
  }

  /** Asked of each anew: while others were sent it may have ended or been called back. */
  async function isToBeSent(id: string): Promise<boolean> {
    const record = o.commands.find(id);
    if (record === undefined || !isOpen(stepOf(record).state)) return false;
    if (stepOf(record).state !== "queued") return true;
    if (Date.parse(record.command.notAfter) < o.now()) return false;
    // Before the publish, so that an acknowledgement cannot overtake it.
    return (await o.commands.advance(id, { kind: "sent" })) !== null;
  }

  async function send({ command, signed }: CommandRecord): Promise<void> {
    const { id, machine, name } = command;
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
