import { RastroError } from "../../lib/contracts/errors.ts";
import { usageError } from "./usage.ts";

/** What a command has of the world: its environment and its three streams. */
export type Terminal = {
  env: NodeJS.ProcessEnv;
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
};

/** Thrown when somebody presses Ctrl-C at a question. */
export class Interrupted extends Error {}

/** Asks a question on stderr (stdout is for the answer of the command) and reads one line. */
export async function ask(terminal: Terminal, question: string, preset?: string): Promise<string> {
  requireTerminal(terminal, question);
  const { createInterface } = await import("node:readline/promises");
  const lines = createInterface({ input: terminal.stdin, output: terminal.stderr });
  const interrupted = new AbortController();
  lines.once("SIGINT", () => interrupted.abort());
  try {
    const hint = preset === undefined ? "" : ` [${preset}]`;
    const answer = await lines.question(`${question}${hint}: `, { signal: interrupted.signal });
    return answer.trim() || (preset ?? "");
  } catch {
    throw new Interrupted();
  } finally {
    lines.close();
  }
}

/** As {@link ask}, without showing what is typed. */
export async function askHidden(terminal: Terminal, question: string): Promise<string> {
  requireTerminal(terminal, question);
  const { stdin, stderr } = terminal;
  stderr.write(`${question}: `);
  stdin.setRawMode(true);
  stdin.setEncoding("utf8");
  stdin.resume();
  try {
    return await readHidden(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}

function readHidden(stdin: NodeJS.ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed = "";
    const hear = (chunk: string) => {
      for (const character of chunk) {
        const next = edit(typed, character);
        if (typeof next === "string") typed = next;
        else return finish(next.done ? () => resolve(typed) : () => reject(new Interrupted()));
      }
    };
    const finish = (settle: () => void) => {
      stdin.off("data", hear);
      settle();
    };
    stdin.on("data", hear);
  });
}

/** What a key makes of the text so far; Enter and Ctrl-D end it, Ctrl-C gives it up. */
function edit(typed: string, key: string): string | { done: boolean } {
  switch (key) {
    case "\r":
    case "\n":
    case "\u0004":
      return { done: true };
    case "\u0003":
      return { done: false };
    case "\u0015":
      return "";
    case "\u007F":
    case "\b":
      return Array.from(typed).slice(0, -1).join("");
    default:
      return key < " " ? typed : typed + key;
  }
}

/**
 * A new password: twice by prompt, or from standard input.
 *
 * @param fromStdin - the lines of standard input, when `--password-stdin` was given.
 */
export async function newPassword(terminal: Terminal, fromStdin: string[] | null, whose: string): Promise<string> {
  if (fromStdin !== null) return takeLine(fromStdin);
  const first = await askHidden(terminal, `New password for ${whose}`);
  const second = await askHidden(terminal, "Once more");
  if (first === second) return first;
  throw usageError("the password", "two different texts", "the same password twice");
}

/** An existing password, by prompt or from standard input. */
export async function knownPassword(terminal: Terminal, fromStdin: string[] | null, whose: string): Promise<string> {
  return fromStdin === null ? askHidden(terminal, `Password of ${whose}`) : takeLine(fromStdin);
}

/** Reads all lines of standard input, for `--password-stdin`. */
export async function readStdinLines(terminal: Terminal): Promise<string[]> {
  if (terminal.stdin.isTTY) {
    throw usageError("--password-stdin", "used on a terminal", "a pipe or a file; leave it out to be asked");
  }
  const chunks: Buffer[] = [];
  for await (const chunk of terminal.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString("utf8").split(/\r?\n/);
}

function takeLine(lines: string[]): string {
  const line = lines.shift();
  if (line !== undefined && line !== "") return line;
  throw usageError("--password-stdin", "nothing on standard input", "the password as one line");
}

function requireTerminal(terminal: Terminal, question: string): void {
  if (terminal.stdin.isTTY) return;
  throw new RastroError({
    code: "schema",
    message: `Asking for "${question}" failed: standard input is no terminal; give it as an option, or the password with --password-stdin.`,
    field: question,
    expected: "an option, or a terminal to ask on",
  });
}
