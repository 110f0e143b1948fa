import {
  type Command,
  type CommandName,
  type CommandResult,
  RESULT_MAXIMUM_BYTES,
} from "../../lib/contracts/commands.ts";
import { type ErrorCode, RastroError, toProblem } from "../../lib/contracts/errors.ts";
import { canonicalText } from "../../lib/ledger/canonical.ts";
import type { After } from "../../lib/messaging/timing.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Executors } from "./executors.ts";

export type Ended = Pick<CommandResult, "status" | "data" | "error">;

/** Executes a command within its time and says what came of it; never throws. */
export function createExecute(o: { executors: Executors; after: After; log: Logger }) {
  return async (
    command: Command,
    name: CommandName,
    onProgress: (done: number, of: number) => void,
  ): Promise<Ended> => {
    const giveUp = new AbortController();
    const late = Promise.withResolvers<never>();
    const cancel = o.after(command.timeoutMs, () => {
      late.reject(outOfTime(name, command.timeoutMs));
      giveUp.abort();
    });
    try {
      const data = await Promise.race([o.executors[name]({ signal: giveUp.signal, onProgress }), late.promise]);
      return { status: "succeeded", data: withinSize(name, data), error: null };
    } catch (thrown) {
      o.log.warn({ err: thrown, id: command.id, name }, "a command failed");
      return { status: "failed", data: null, error: errorOf(thrown) };
    } finally {
      cancel();
    }
  };
}

/** An error as it fits into a result. */
export function errorOf(thrown: unknown): { code: ErrorCode; message: string } {
  const { code, message } = toProblem(thrown);
  return { code, message: message.slice(0, 512) };
}

function withinSize<T>(name: string, data: T): T {
  const bytes = Buffer.byteLength(canonicalText(data));
  if (bytes <= RESULT_MAXIMUM_BYTES) return data;
  throw new RastroError({
    code: "too_large",
    message: `Executing ${name} failed: its result has ${bytes} bytes and at most ${RESULT_MAXIMUM_BYTES} fit.`,
  });
}

function outOfTime(name: string, ms: number): RastroError {
  return new RastroError({ code: "timeout", message: `Executing ${name} failed: it did not end within ${ms} ms.` });
}
