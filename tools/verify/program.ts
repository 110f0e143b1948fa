import { readFile } from "node:fs/promises";
import { Command, CommanderError } from "commander";
import type { Report } from "./report.ts";
import { reportText } from "./report-text.ts";
import { trustOf, UsageFault } from "./trust.ts";
import { verifyFile } from "./verify-file.ts";

const EXIT = { whole: 0, refused: 1, usage: 2 } as const;

export type VerifyOptions = {
  policy?: string;
  keys?: string;
  rotations?: string;
  key: string[];
  hashesOnly?: true;
  json?: true;
};

/** What the verifier writes to: the report, and progress and usage. */
export type Output = { stdout: NodeJS.WritableStream; stderr: NodeJS.WritableStream & { isTTY?: boolean } };

/** Declares argument and options, here and for `rastro verify`. */
export function declareVerify(command: Command): Command {
  return command
    .argument("<file>", "a proof (.tlog-proof) or an export (.jsonl)")
    .description("check a proof or an export with nothing but this program and public keys")
    .option("--policy <file>", "whom to believe: a C2SP tlog-policy file with log, witnesses and quorum")
    .option("--key <vkey>", "key of a log, a machine or a service; may be repeated", collect, [])
    .option("--keys <file>", "a file of such keys, one a line (rastro audit keys)")
    .option("--rotations <file>", "notes by which keys of logs handed over to new ones (rastro audit keys)")
    .option("--hashes-only", "look at no signature of a checkpoint: shows that the file agrees with itself, no more")
    .addHelpText("after", `\n${HELP}`);
}

const HELP = `Exit codes: 0 whole, 1 refused, 2 wrong usage.

Example:
  rastro verify entry.tlog-proof --policy plant.policy`;

/** Verifies and prints. @returns the exit code; never throws. */
export async function runVerifier(argv: readonly string[], output: Output): Promise<number> {
  const command = declareVerify(new Command("rastro-verify"))
    .option("--json", "print exactly one JSON value")
    .configureOutput({ writeOut: (text) => output.stdout.write(text), writeErr: (text) => output.stderr.write(text) })
    .exitOverride();
  try {
    command.parse(argv, { from: "user" });
    const [file = ""] = command.args;
    return await verifyAndPrint(file, command.opts<VerifyOptions>(), output);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.whole : EXIT.usage;
    output.stderr.write(`${error instanceof UsageFault ? error.message : `The verifier failed: ${String(error)}`}\n`);
    return EXIT.usage;
  }
}

async function verifyAndPrint(file: string, options: VerifyOptions, output: Output): Promise<number> {
  const report = await verifyWith(file, options, output.stderr);
  const text = options.json === true ? JSON.stringify(report) : reportText(file, report);
  output.stdout.write(`${text}\n`);
  return report.ok ? EXIT.whole : EXIT.refused;
}

/** @throws UsageFault. */
export async function verifyWith(file: string, options: VerifyOptions, stderr: Output["stderr"]): Promise<Report> {
  const policy = options.policy === undefined ? null : await readText(options.policy);
  const listed = options.keys === undefined ? "" : await readText(options.keys);
  const keys = [...options.key, ...keysIn(listed)];
  const rotations = options.rotations === undefined ? "" : await readText(options.rotations);
  const trust = trustOf({ policy, keys, rotations, hashesOnly: options.hashesOnly === true });
  const progress = showProgress(stderr);
  try {
    return await verifyFile(file, trust, { onProgress: progress.update });
  } finally {
    progress.end();
  }
}

/** One key a line, up to the first note on a change of keys. */
function keysIn(text: string): string[] {
  const lines = text.split(/\r?\n/);
  const end = lines.findIndex((line) => line.startsWith("rastro/"));
  return lines.slice(0, end === -1 ? lines.length : end).filter((line) => line !== "" && !line.startsWith("#"));
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new UsageFault(`Reading ${path} failed (${(cause as NodeJS.ErrnoException).code ?? String(cause)}).`, {
      cause,
    });
  }
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** Percents on a terminal, a new one at most each 200 ms; nothing anywhere else. */
function showProgress(stderr: Output["stderr"]): { update: (part: number) => void; end: () => void } {
  if (stderr.isTTY !== true) return { update: () => {}, end: () => {} };
  let next = performance.now() + 200;
  return {
    update(part) {
      if (performance.now() < next) return;
      next = performance.now() + 200;
      stderr.write(`\r${Math.floor(part * 100)} % `);
    },
    // ECMA-48: to the first column, erase the line.
    end: () => stderr.write("\r\u001B[2K"),
  };
}
