import type { Context } from "hono";
import { type ErrorCode, type Problem, RastroError, toProblem } from "../../lib/contracts/errors.ts";
import type { Logger } from "../../lib/runtime/log.ts";

type Status = 400 | 401 | 403 | 404 | 409 | 413 | 422 | 429 | 500 | 503 | 504 | 507;

const STATUS_OF: Partial<Record<ErrorCode, Status>> = {
  malformed: 400,
  bad_credentials: 401,
  not_allowed: 403,
  unknown_entry: 404,
  id_conflict: 409,
  version_conflict: 409,
  entry_voided: 409,
  schema: 422,
  justification_required: 422,
  unknown_machine: 422,
  unknown_lot: 422,
  locked_out: 429,
  busy: 503,
  not_reachable: 503,
  timeout: 504,
};

/** Turns what a handler threw into a coded answer; a fault of the disk is told apart from a fault of the asker. */
export function answerTo(error: unknown, context: Context, log: Logger): Response {
  if (isDiskFull(error)) {
    log.error({ err: error }, "an entry was not saved: the disk is full");
    return context.json(DISK_FULL, 507);
  }
  const problem = toProblem(error);
  const status = STATUS_OF[problem.code] ?? 500;
  if (status === 500) log.error({ err: error }, "the door failed to answer");
  return context.json(problem, status);
}

const DISK_FULL: Problem = {
  code: "store_unusable",
  message:
    "Saving the entry failed: the disk of the data folder is full. Make room and hand it in again under the same id.",
};

/** LevelDB hands on the system's words, not its codes. */
export function isDiskFull(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    const code = (at as NodeJS.ErrnoException).code;
    if (code === "ENOSPC" || code === "EDQUOT") return true;
    if (/no space left on device|disk quota exceeded|not enough space/i.test(at.message)) return true;
  }
  return false;
}

/** The whole body as JSON. @throws RastroError `malformed`. */
export async function jsonBody(context: Context): Promise<unknown> {
  try {
    return await context.req.json();
  } catch (cause) {
    throw new RastroError(
      {
        code: "malformed",
        message: "Reading the request failed: the body is not JSON.",
        expected: "a JSON object or array",
      },
      { cause },
    );
  }
}
