import { BookName } from "../../lib/contracts/names.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import {
  ERASURE_GROUNDS,
  ErasureGround,
  EraseRequest,
  type PersonData,
  type PersonRecords,
} from "../../lib/contracts/privacy.ts";
import type { Outcome } from "../client/outcome.ts";
import { list, localTime, table } from "../client/print.ts";
import { startProgress } from "../client/progress.ts";
import type { SignedInHub } from "../client/session.ts";
import { ask, type Terminal } from "../client/terminal.ts";
import { usageError } from "../client/usage.ts";

export type ShowOptions = { json?: true };
export type EraseOptions = { ground: string; reason: string; yes?: true; json?: true };

/** A book is read from one end to the other. */
const RECORDS_TIMEOUT_MS = 9.5 * 60_000;

export async function runShow(terminal: Terminal, person: string | undefined, _options: ShowOptions): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const { kept, books } = await withHub(terminal.env, async (hub) => {
    const data = await hub.directory.personData(hub.bearer, person ?? hub.session.user);
    const found: PersonRecords[] = [];
    for (const book of BookName.options) found.push(await recordsIn(terminal, hub, book, data.sub));
    return { kept: data, books: found };
  });
  const parts = [directoryText(kept), await sessionsText(kept), ...(await Promise.all(books.map(recordsText)))];
  return { data: { ...kept, books }, text: parts.filter((part) => part !== null).join("\n\n") };
}

async function recordsIn(terminal: Terminal, hub: SignedInHub, book: BookName, sub: string): Promise<PersonRecords> {
  const { size } = await hub.call(book, "book-head", {});
  const bar = await startProgress(terminal.stderr, `records of the book ${book}`, size);
  const onProgress = (done: number) => bar.update(done, "");
  try {
    return await hub.call(book, "person-records", { sub }, { timeoutMs: RECORDS_TIMEOUT_MS, onProgress });
  } finally {
    bar.stop();
  }
}

function directoryText(kept: PersonData): string {
  const named: [string, string | null][] = [
    ["login", kept.name],
    ["full name", kept.fullName],
    ["badge", kept.badge],
    ["password", kept.password ? "as a hash (argon2id)" : null],
    ["may sign in", kept.active ? "yes" : "no"],
  ];
  const erased: [string, string][] =
    kept.erasedAt === null ? [] : [["erased", `${localTime(kept.erasedAt)}: the random id is all that is left`]];
  return list([
    ["person", kept.sub],
    ...(kept.erasedAt === null ? named : erased),
    ["profile", kept.profile],
    ["registered", localTime(kept.registeredAt)],
  ]);
}

async function sessionsText(kept: PersonData): Promise<string | null> {
  if (kept.erasedAt !== null) return null;
  const rows = kept.sessions.map((row) => [
    row.session ?? "(password)",
    row.app,
    localTime(row.since),
    localTime(row.lastSeen),
    row.addresses.join(", ") || null,
    row.clients.join(", ") || null,
  ]);
  const names = ["session", "app", "since", "last seen", "address", "connected as"];
  return `Sessions\n${await table(names, rows, "None.")}`;
}

async function recordsText({ book, size, records }: PersonRecords): Promise<string> {
  const rows = records.map((row) => [
    row.type,
    row.as,
    row.count,
    `${row.first.seq}, ${localTime(row.first.at)}`,
    `${row.last.seq}, ${localTime(row.last.at)}`,
    row.sealed.join(", ") || null,
  ]);
  const names = ["record of", "as", "count", "first", "last", "sealed"];
  return `Book ${book}, ${size} records\n${await table(names, rows, "No record knows the person.")}`;
}

export async function runErase(terminal: Terminal, person: string, options: EraseOptions): Promise<Outcome> {
  const request = parseValue(EraseRequest, { ground: groundOf(options.ground), text: options.reason }, "the erasure");
  const { withHub } = await import("../client/session.ts");
  const done = await withHub(terminal.env, async (hub) => {
    if (options.yes !== true) await confirm(terminal, person);
    return hub.directory.personErase(hub.bearer, person, request);
  });
  const text = [
    `${person} is erased: the key is destroyed, and the directory has forgotten the name.`,
    `What is left is ${done.sub}. Erasure ${done.erasure} is in the audit book.`,
  ].join("\n");
  return { data: done, text };
}

function groundOf(given: string): ErasureGround {
  const ground = ErasureGround.safeParse(given);
  if (ground.success) return ground.data;
  const known = Object.entries(ERASURE_GROUNDS).map(([code, meaning]) => `${code} (${meaning})`);
  throw usageError("--ground", given, `one of ${known.join(", ")}`);
}

async function confirm(terminal: Terminal, person: string): Promise<void> {
  const typed = await ask(terminal, `This cannot be taken back. Type ${person} to erase the person`);
  if (typed !== person) throw usageError("what was typed", JSON.stringify(typed), `${person}, or --yes`);
}
