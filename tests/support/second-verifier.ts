import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { TestContext } from "vitest";

const SCRIPT = join(import.meta.dirname, "../conformance/verify_export.py");
const NOT_RUN =
  "second verifier not run: python3 with cryptography is not installed (Debian: apt-get install python3-cryptography)";

/**
 * Runs the second verifier. Where it cannot run, that is said on the console and beside the test, which counts as
 * skipped.
 *
 * @returns its exit code, and for each file whether it is whole.
 */
export async function secondVerifier(
  test: TestContext,
  args: readonly string[],
): Promise<{ exit: number; whole: boolean[]; stdout: string }> {
  const python = await findPython();
  if (python === null) {
    console.warn(NOT_RUN);
    await test.annotate(NOT_RUN, "warning");
    test.skip(NOT_RUN);
  }
  const { exit, stdout } = await run(python ?? "", [SCRIPT, ...args]);
  const lines = stdout === "" ? [] : stdout.trimEnd().split("\n");
  return { exit, whole: lines.map((line) => line === "whole"), stdout };
}

/** The first Python that has what the script needs; Debian's packages are those of its own Python. */
async function findPython(): Promise<string | null> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    if ((await run(python, ["-c", "import cryptography"])).exit === 0) return python;
  }
  return null;
}

async function run(program: string, args: readonly string[]): Promise<{ exit: number; stdout: string }> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const failed = once(child, "error").then(() => ({ exit: 127, stdout: "" }));
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return Promise.race([failed, ended.then(([stdout, , [exit]]) => ({ exit: exit as number, stdout }))]);
}
