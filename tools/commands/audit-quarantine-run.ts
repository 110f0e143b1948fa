import { RastroError } from "../../lib/contracts/errors.ts";
import { BookName } from "../../lib/contracts/names.ts";
import { OPERATIONS } from "../../lib/contracts/operations.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import type { QuarantineRow } from "../../lib/contracts/quarantine.ts";
import type { Outcome } from "../client/outcome.ts";
import { list, localTime, plain, table } from "../client/print.ts";
import type { SignedInHub } from "../client/session.ts";
import type { Terminal } from "../client/terminal.ts";
import { typedCount, usageError } from "../client/usage.ts";

export type QuarantineListOptions = { book?: string; limit?: string; before?: string };
export type QuarantineShowOptions = { book?: string };

type Kept = { book: BookName; row: QuarantineRow; event: string };

export async function runList(terminal: Terminal, options: QuarantineListOptions): Promise<Outcome> {
  const books = booksOf(options.book);
  if (options.before !== undefined && books.length > 1) {
    throw usageError("--before", "given without --book", "a number of one book's record, with --book");
  }
  const given = {
    ...(options.limit === undefined ? {} : { limit: typedCount(options.limit) }),
    ...(options.before === undefined ? {} : { before: typedCount(options.before) }),
  };
  const request = parseValue(OPERATIONS.audit["quarantine-list"].request, given, "the options");
  const { withHub } = await import("../client/session.ts");
  const pages = await withHub(terminal.env, (hub) =>
    Promise.all(books.map((book) => hub.call(book, "quarantine-list", request))),
  );
  const rows = pages.flatMap(({ book, rows: ofBook }) => ofBook.map((row) => cellsOf(book, row)));
  const names = ["book", "record", "received", "from", "event", "code", "bytes", "same id"];
  const more = pages.flatMap(({ book, before }) =>
    before === null ? [] : [`More with: --book ${book} --before ${before}`],
  );
  const text = [await table(names, rows, "Nothing is set apart."), ...more].join("\n");
  return { data: pages, text };
}

function cellsOf(book: BookName, row: QuarantineRow): (string | number | null)[] {
  const same = row.first === null ? null : `record ${row.first}`;
  return [book, row.seq, localTime(row.recv), row.from, row.id, row.code, row.bytes, same];
}

export async function runShow(terminal: Terminal, which: string, options: QuarantineShowOptions): Promise<Outcome> {
  const books = booksOf(options.book);
  const isNumber = /^\d{1,15}$/.test(which);
  if (isNumber && books.length > 1) {
    throw usageError("<seq|sha256|id>", `the number ${which} without a book`, "a number with --book");
  }
  const { withHub } = await import("../client/session.ts");
  const found = await withHub(terminal.env, async (hub) => {
    const kept: Kept[] = [];
    for (const book of books) kept.push(...(await look(hub, book, which, isNumber)));
    return kept;
  });
  if (found.length === 0) throw nothing(which);
  return { data: found, text: found.map(textOf).join("\n\n") };
}

/** One event may have been set apart in several forms, so what is looked up by its id may be many. */
async function look(hub: SignedInHub, book: BookName, which: string, isNumber: boolean): Promise<Kept[]> {
  if (isNumber) return [await fetchWhole(hub, book, { seq: Number(which) })];
  // Longer than any id of an event that is kept under one.
  if (which.length > 64) return [];
  const { rows } = await hub.call(book, "quarantine-list", { id: which, limit: 200 });
  const digests = rows.map(({ sha256 }) => sha256);
  if (/^[0-9a-f]{64}$/.test(which) && !digests.includes(which)) digests.push(which);
  const kept = await Promise.all(digests.map((sha256) => fetchWhole(hub, book, { sha256 }).catch(unlessUnknown)));
  return kept.filter((one) => one !== null);
}

function unlessUnknown(thrown: unknown): null {
  if (thrown instanceof RastroError && thrown.code === "unknown_record") return null;
  throw thrown;
}

/** An event may be larger than a packet: its bytes come in pieces. */
async function fetchWhole(
  hub: SignedInHub,
  book: BookName,
  wanted: { seq: number } | { sha256: string },
): Promise<Kept> {
  const pieces: Buffer[] = [];
  for (let offset = 0; ;) {
    const { row, piece, next } = await hub.call(book, "quarantine-show", { ...wanted, offset });
    pieces.push(Buffer.from(piece, "base64"));
    if (next === null) return { book, row, event: Buffer.concat(pieces).toString("utf8") };
    offset = next;
  }
}

function textOf({ book, row, event }: Kept): string {
  const same = row.first === null ? null : `record ${row.first} of the book ${book} (rastro entry show, audit show)`;
  const facts = list([
    ["book", book],
    ["record", row.seq],
    ["received", localTime(row.recv)],
    ["from", row.from],
    ["event", row.id],
    ["code", row.code],
    ["why", row.message],
    ["sha256", row.sha256],
    ["same id", same],
  ]);
  return `${facts}\n\n${plain(event)}`;
}

function booksOf(option: string | undefined): BookName[] {
  return option === undefined ? [...BookName.options] : [parseValue(BookName, option, "--book")];
}

function nothing(which: string): RastroError {
  return new RastroError({
    code: "unknown_record",
    message: `Looking up ${which} in the quarantine failed: nothing is set apart under it.`,
    given: which,
    expected: "a number, SHA-256 or id that rastro audit quarantine list shows",
  });
}
