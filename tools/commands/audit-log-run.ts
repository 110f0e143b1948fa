import { v7 as newId } from "uuid";
import { BookName } from "../../lib/contracts/names.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { Justification } from "../../lib/contracts/production.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";

export type RotateKeyOptions = { book: string; retire?: true; reason: string };
export type CheckpointOptions = { book: string };
export type AcceptLossOptions = { book: string; reason: string };

/** The book is backed up first, which takes a while where it is large. Services take requests of at most 10 minutes ahead. */
const TIMEOUT_MS = 9.5 * 60_000;

export async function runRotateKey(terminal: Terminal, options: RotateKeyOptions): Promise<Outcome> {
  const book = parseValue(BookName, options.book, "--book");
  const reason = parseValue(Justification, { code: "OTHER", text: options.reason }, "--reason");
  const step = options.retire === true ? "retire" : "rotate";
  const { withHub } = await import("../client/session.ts");
  const { keys } = await withHub(terminal.env, (hub) =>
    hub.call(book, "book-rotate-key", { step, reason }, { timeoutMs: TIMEOUT_MS }),
  );
  return { data: { book, keys }, text: textOf(book, keys) };
}

function textOf(book: BookName, [now, old]: readonly string[]): string {
  const lines = [`The book ${book} is signed with`, `  ${now}`];
  if (old !== undefined) lines.push("and, until --retire, with", `  ${old}`);
  return [...lines, "", "Give the first line to whoever keeps a trust policy of this plant elsewhere."].join("\n");
}

/** Prints the note and nothing else, so that it can be kept as it is. */
export async function runCheckpoint(terminal: Terminal, options: CheckpointOptions): Promise<Outcome> {
  const book = parseValue(BookName, options.book, "--book");
  const { withHub } = await import("../client/session.ts");
  const { note } = await withHub(terminal.env, (hub) => hub.call(book, "book-checkpoint", {}));
  if (note === null) return { data: { book, note }, text: `The book ${book} has no checkpoint yet.`, exit: EXIT.no };
  return { data: { book, note }, text: note.trimEnd() };
}

export async function runAcceptLoss(terminal: Terminal, options: AcceptLossOptions): Promise<Outcome> {
  const book = parseValue(BookName, options.book, "--book");
  const reason = parseValue(Justification, { code: "OTHER", text: options.reason }, "--reason");
  const { withHub } = await import("../client/session.ts");
  const { size } = await withHub(terminal.env, (hub) =>
    hub.call("audit", "accept-loss", { event: newId(), book, reason }),
  );
  return {
    data: { book, size },
    text: `The book ${book} goes on from its ${size} records. Who had seen more is on record; those witnesses have to begin anew.`,
  };
}
