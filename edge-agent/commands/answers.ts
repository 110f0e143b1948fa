import type { CommandAck, CommandProgress, CommandResult } from "../../lib/contracts/commands.ts";
import { type CommandAnswerKind, topics } from "../../lib/contracts/topics.ts";
import type { Logger } from "../../lib/runtime/log.ts";

/** As much of the link as answers need. */
export interface AnswerPort {
  publish(topic: string, payload: string, options: { qos: 1 }): Promise<void>;
  onUp(run: () => void): void;
}

/** Results that wait for a connection; the fleet asks again for what is dropped. */
const UNSENT_MAXIMUM = 256;

export type Answers = {
  ack(name: string, id: string): void;
  progress(name: string, id: string, done: number, of: number): void;
  /** Said again at the next connection if this one does not bring it to the broker. */
  result(name: string, result: CommandResult): void;
};

export function createAnswers(o: { link: AnswerPort; machine: string; now: () => number; log: Logger }): Answers {
  const unsent = new Map<string, { name: string; result: CommandResult }>();

  async function publish(
    name: string,
    kind: CommandAnswerKind,
    answer: CommandAck | CommandProgress | CommandResult,
  ): Promise<boolean> {
    try {
      await o.link.publish(topics.commandAnswer(o.machine, name, kind), JSON.stringify(answer), { qos: 1 });
      return true;
    } catch (error) {
      o.log.debug({ err: error, id: answer.id, kind }, "an answer to a command was not sent");
      return false;
    }
  }

  async function sayResult(name: string, result: CommandResult): Promise<void> {
    const waiting = { name, result };
    unsent.set(result.id, waiting);
    const [oldest] = unsent.keys();
    if (unsent.size > UNSENT_MAXIMUM && oldest !== undefined) unsent.delete(oldest);
    if ((await publish(name, "result", result)) && unsent.get(result.id) === waiting) unsent.delete(result.id);
  }

  const at = () => new Date(o.now()).toISOString();
  o.link.onUp(() => {
    for (const { name, result } of unsent.values()) void sayResult(name, result);
  });
  return {
    ack: (name, id) => void publish(name, "ack", { v: 1, id, at: at() }),
    progress: (name, id, done, of) => void publish(name, "progress", { v: 1, id, at: at(), done, of }),
    result: (name, result) => void sayResult(name, result),
  };
}
