import type { KeyObject } from "node:crypto";
import type { Command, CommandName, CommandResult } from "../../lib/contracts/commands.ts";
import { type ErrorCode, RastroError, toProblem } from "../../lib/contracts/errors.ts";
import { parseCommand } from "../../lib/contracts/topics.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Admission } from "./admit-command.ts";
import type { Answers } from "./answers.ts";
import { type Ended, errorOf } from "./execute.ts";
import { digestOf, type Entry, type Journal } from "./journal.ts";
import { claimedId, openCommand } from "./open-command.ts";

/** Messages that may wait while one is worked on; more are refused, and the fleet sends again. */
const WAITING_MAXIMUM = 64;

export type ReceiverOptions = {
  machine: string;
  /** The pinned key of the fleet; null refuses every command. */
  key: KeyObject | null;
  admission: Admission;
  journal: Journal;
  answers: Answers;
  execute: (command: Command, name: CommandName, onProgress: (done: number, of: number) => void) => Promise<Ended>;
  onRefused: (refused: { topic: string; code: ErrorCode }) => void;
  now: () => number;
  log: Logger;
};

export type Receiver = {
  /** Takes what arrived on a command topic; resolves when it is answered. Never rejects. */
  take(topic: string, payload: Buffer, retained: boolean): Promise<void>;
  /** Answers for what a crash cut off; to be called once, before the first command is taken. */
  closeCutOff(): Promise<void>;
  /** Resolves when what has been taken so far is answered. */
  idle(): Promise<void>;
};

/**
 * Carries out commands, one after the other. In this order: drop what is retained, open (signature and address), answer
 * a duplicate, admit (name, arguments, time), write down, acknowledge, execute, keep the result, answer.
 */
export function createReceiver(o: ReceiverOptions): Receiver {
  let waiting = 0;
  let turn: Promise<void> = Promise.resolve();

  async function work(topic: string, payload: Buffer): Promise<void> {
    const { command, body } = await openCommand(o, topic, payload);
    const known = o.journal.find(command.id);
    if (known !== undefined) return repeat(known, body);
    const name = await o.admission.admit(command);
    const entry = await o.journal.begin(command, body);
    o.answers.ack(name, command.id);
    const ended = await o.execute(command, name, (done, of) => o.answers.progress(name, command.id, done, of));
    await finish(entry, ended);
  }

  async function repeat(entry: Entry, body: string): Promise<void> {
    if (entry.digest !== digestOf(body)) throw otherCommand(entry.id);
    if (entry.result === null) return finish(entry, cutOffEnd());
    o.answers.result(entry.name, entry.result);
  }

  async function finish(entry: Entry, ended: Ended): Promise<void> {
    const result = resultOf(entry.id, ended);
    try {
      await o.journal.finish(entry, result);
    } catch (error) {
      o.log.error({ err: error, id: entry.id }, "a command's result could not be kept; it is answered all the same");
    }
    o.answers.result(entry.name, result);
  }

  function refuse(topic: string, payload: Buffer, thrown: unknown): void {
    const { code } = toProblem(thrown);
    o.onRefused({ topic, code });
    o.log.warn({ topic, code, err: thrown instanceof RastroError ? undefined : thrown }, "a command was refused");
    const id = claimedId(payload);
    const name = parseCommand(topic)?.name;
    if (id === null || name === undefined) return;
    o.answers.result(name, resultOf(id, { status: "rejected", data: null, error: errorOf(thrown) }));
  }

  function resultOf(id: string, ended: Ended): CommandResult {
    return { v: 1, id, at: new Date(o.now()).toISOString(), ...ended };
  }

  async function takeTurn(topic: string, payload: Buffer): Promise<void> {
    try {
      await work(topic, payload);
    } catch (thrown) {
      refuse(topic, payload, thrown);
    } finally {
      waiting -= 1;
    }
  }

  return {
    take(topic, payload, retained) {
      if (retained) {
        o.onRefused({ topic, code: "retained" });
        return Promise.resolve();
      }
      if (waiting >= WAITING_MAXIMUM) {
        o.onRefused({ topic, code: "busy" });
        return Promise.resolve();
      }
      waiting += 1;
      turn = turn.then(() => takeTurn(topic, payload));
      return turn;
    },
    closeCutOff() {
      const done = turn.then(async () => {
        for (const entry of await o.journal.cutOff()) await finish(entry, cutOffEnd());
      });
      // A command that was begun meanwhile would look as if it had been cut off.
      turn = done.catch(() => undefined);
      return done;
    },
    idle: () => turn,
  };
}

function cutOffEnd(): Ended {
  const error = {
    code: "unknown_outcome" as const,
    message:
      "The agent ended in the middle of this command: whether it had its effect is not known; it is not begun again.",
  };
  return { status: "unknown-outcome", data: null, error };
}

function otherCommand(id: string): RastroError {
  return new RastroError({
    code: "id_conflict",
    message: `Taking the command failed: ${id} was another command before; use a new id.`,
    given: id,
  });
}
