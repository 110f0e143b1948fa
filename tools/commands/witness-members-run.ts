import { writeFile } from "node:fs/promises";
import { v7 as newId } from "uuid";
import { RastroError } from "../../lib/contracts/errors.ts";
import { OPERATIONS } from "../../lib/contracts/operations.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { Justification } from "../../lib/contracts/production.ts";
import type { BookWitnessed, WitnessInfo } from "../../lib/contracts/witness-members.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { localTime, plain, table } from "../client/print.ts";
import type { Terminal } from "../client/terminal.ts";

export type AddOptions = { url?: string; reason: string };
export type RemoveOptions = { reason: string };
export type PolicyOptions = { out?: string };

/** Digits of a fingerprint that tell computers apart on a screen. */
const HOST_SHOWN = 8;

export async function runList(terminal: Terminal): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const answer = await withHub(terminal.env, (hub) => hub.call("audit", "witness-list", {}));
  const rows = answer.witnesses.flatMap(rowsOf);
  const names = ["witness", "counts", "computer", "book", "cosigned", "at", "behind by", "error"];
  const text = [
    await table(names, rows, "Nobody witnesses the books of this plant."),
    "",
    ...answer.books.map(bookText),
  ];
  const isWell = answer.books.every(({ troubles }) => troubles.length === 0);
  return { data: answer, text: text.join("\n"), exit: isWell ? EXIT.done : EXIT.no };
}

function rowsOf({ name, standing, host, url, logs }: WitnessInfo): (string | number | null)[][] {
  const computer = url ?? host?.slice(0, HOST_SHOWN) ?? null;
  const counts = standing === "counts" ? "yes" : standing;
  if (logs.length === 0) return [[name, counts, computer, null, null, null, null, null]];
  return logs.map(({ book, size, at, lag, error }) => {
    const time = at === null ? null : localTime(at);
    return [name, counts, computer, book, size, time, lag, error];
  });
}

function bookText({ book, size, needed, cosigned, troubles }: BookWitnessed): string {
  const quorum = needed === 0 ? "no quorum is asked for" : `${cosigned} of the ${needed} that it takes have cosigned`;
  const state =
    size === null ? "no checkpoint is known yet" : `the newest checkpoint is over ${size} records, ${quorum}`;
  return [`${book}: ${state}.`, ...troubles.map((trouble) => `  ! ${plain(trouble)}`)].join("\n");
}

export async function runAdd(
  terminal: Terminal,
  name: string,
  vkey: string | undefined,
  options: AddOptions,
): Promise<Outcome> {
  const given = { event: newId(), name, vkey: vkey ?? null, url: options.url ?? null, reason: reasonOf(options) };
  const request = parseValue(OPERATIONS.audit["witness-add"].request, given, "the witness");
  const { withHub } = await import("../client/session.ts");
  const { sha256 } = await withHub(terminal.env, (hub) => hub.call("audit", "witness-add", request));
  return { data: { name, sha256 }, text: `The witness ${name} is let in.\n\n${keepPolicy(sha256)}` };
}

export async function runRemove(terminal: Terminal, name: string, options: RemoveOptions): Promise<Outcome> {
  const given = { event: newId(), name, reason: reasonOf(options) };
  const request = parseValue(OPERATIONS.audit["witness-remove"].request, given, "the witness");
  const { withHub } = await import("../client/session.ts");
  const { sha256 } = await withHub(terminal.env, (hub) => hub.call("audit", "witness-remove", request));
  return { data: { name, sha256 }, text: `The witness ${name} is taken out.\n\n${keepPolicy(sha256)}` };
}

export async function runPolicy(terminal: Terminal, { out }: PolicyOptions): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const policy = await withHub(terminal.env, (hub) => hub.call("audit", "witness-policy", {}));
  if (out === undefined) return { data: policy, text: policy.text.trimEnd() };
  try {
    await writeFile(out, policy.text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RastroError({ code: "store_unusable", message: `Writing ${out} failed: ${why}.`, given: out }, { cause });
  }
  return { data: { ...policy, out }, text: `${out} is written, SHA-256 ${policy.sha256}.` };
}

function reasonOf({ reason }: { reason: string }): Justification {
  return parseValue(Justification, { code: "OTHER", text: reason }, "--reason");
}

function keepPolicy(sha256: string): string {
  return `The trust policy is another one now (SHA-256 ${sha256}): rastro witness policy -o <file>, and keep the file elsewhere.`;
}
