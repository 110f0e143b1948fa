import type { ErrorCode, Problem } from "../../lib/contracts/errors.ts";

/** What a command came to. `data` is what `--json` prints, `text` what a person reads. */
export type Outcome = { data: unknown; text: string; exit?: typeof EXIT.done | typeof EXIT.no };

/** The exit codes of `rastro`, each with what `--help` says about it. */
export const EXIT = { done: 0, no: 1, usage: 2, notReachable: 3, notAllowed: 4 } as const;

export const EXIT_CODES_HELP = `Exit codes:
  0  done
  1  the answer is no: refused, not found, changed meanwhile, damaged, not proved
  2  wrong usage: an unknown option, a value that does not fit
  3  not reachable: nothing answers there, or not in time
  4  not allowed: not signed in, wrong password, or the profile does not allow it`;

const EXIT_OF_CODE: Partial<Record<ErrorCode, number>> = {
  malformed: EXIT.usage,
  schema: EXIT.usage,
  justification_required: EXIT.usage,
  weak_password: EXIT.usage,
  bad_setting: EXIT.usage,
  not_reachable: EXIT.notReachable,
  timeout: EXIT.notReachable,
  expired: EXIT.notReachable,
  busy: EXIT.notReachable,
  not_allowed: EXIT.notAllowed,
  bad_credentials: EXIT.notAllowed,
  locked_out: EXIT.notAllowed,
  second_person: EXIT.notAllowed,
};

/** The exit code for a problem; what is not listed means that the answer is no. */
export function exitCodeOf(problem: Problem): number {
  return EXIT_OF_CODE[problem.code] ?? EXIT.no;
}
