import { type Problem, RastroError, toProblem } from "../../lib/contracts/errors.ts";
import { EXIT, exitCodeOf, type Outcome } from "../client/outcome.ts";
import { Interrupted, type Terminal } from "../client/terminal.ts";

/** 128 + SIGINT, as shells have it. */
const EXIT_INTERRUPTED = 130;

/** Runs the work of a command and prints what came of it; never throws. @returns the exit code. */
export async function runAction(terminal: Terminal, json: boolean, work: () => Promise<Outcome>): Promise<number> {
  try {
    const { data, text, exit } = await work();
    if (json) terminal.stdout.write(`${JSON.stringify(data)}\n`);
    else if (text !== "") terminal.stdout.write(`${text}\n`);
    return exit ?? EXIT.done;
  } catch (error) {
    if (error instanceof Interrupted) return EXIT_INTERRUPTED;
    return printProblem(terminal, json, problemOf(error));
  }
}

/** One sentence on stderr and, with `--json`, the problem as the one value on stdout. @returns the exit code. */
export function printProblem(terminal: Terminal, json: boolean, problem: Problem): number {
  if (json) terminal.stdout.write(`${JSON.stringify({ error: problem })}\n`);
  terminal.stderr.write(`${problem.message}\n`);
  return exitCodeOf(problem);
}

/** Here the log that `internal` speaks of is the terminal, so what was thrown is told. */
function problemOf(error: unknown): Problem {
  if (error instanceof RastroError) return toProblem(error);
  const reason = error instanceof Error ? error.message : String(error);
  return { code: "internal", message: `The command failed for a reason inside Rastro: ${reason}` };
}
