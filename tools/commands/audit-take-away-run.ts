import { setTimeout as pause } from "node:timers/promises";
import { RastroError } from "../../lib/contracts/errors.ts";
import { type ExportBegun, ExportFilter, ExportRequest } from "../../lib/contracts/export.ts";
import { BookName, Count, Uuid7 } from "../../lib/contracts/names.ts";
import type { RequestInput } from "../../lib/contracts/operations.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { type FetchPage, writeCsv, writeJsonLines, type Written } from "../export/export-book.ts";
import { writeNewFile } from "../export/new-file.ts";
import { proofFile } from "../export/proof-file.ts";
import { keepMemorySteady } from "../export/steady-memory.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { list } from "../client/print.ts";
import { startProgress } from "../client/progress.ts";
import { type SignedInHub, withHub } from "../client/session.ts";
import { startSpinner } from "../client/spinner.ts";
import { Interrupted, type Terminal } from "../client/terminal.ts";
import { typedInstant, usageError } from "../client/usage.ts";

export type ExportOptions = {
  out: string;
  book: string;
  format: string;
  from?: string;
  to?: string;
  machine?: string;
  person?: string;
  lot?: string;
  type?: string;
  kind?: string;
  separator: string;
  bom?: true;
  names: boolean;
};
export type ProveOptions = { out: string; book: string };

/** Between two signs of life of a service that looks for what fits, ms. */
const BEGIN_TIMEOUT_MS = 60_000;

export async function runExport(terminal: Terminal, options: ExportOptions): Promise<Outcome> {
  const book = parseValue(BookName, options.book, "--book");
  const { format, filter, names } = parseValue(ExportRequest, requestOf(options), "the options");
  if (options.separator.length !== 1) throw usageError("--separator", options.separator, "one character");
  const interruption = listenForInterrupt();
  keepMemorySteady();
  try {
    return await withHub(terminal.env, async (hub) => {
      const request = { filter, format, names };
      const begun = await begin(terminal, hub, book, request);
      const fetch = fetchFrom(hub, begun, interruption.demandNone);
      return outcomeOf(options.out, begun, await writeFile(terminal, options, begun, fetch));
    });
  } finally {
    interruption.stop();
  }
}

/** Counts what fits first, which in a large book takes a while. */
async function begin(
  terminal: Terminal,
  hub: SignedInHub,
  book: BookName,
  request: ExportRequest,
): Promise<ExportBegun> {
  const spinner = startSpinner(terminal.stderr, `looking through the book ${book}`);
  try {
    return await hub.call(book, "book-export", request, { timeoutMs: BEGIN_TIMEOUT_MS });
  } finally {
    spinner.stop();
  }
}

function requestOf(options: ExportOptions): RequestInput<"audit", "book-export"> {
  const { machine, person, lot, type, kind, format } = options;
  const filter = parseValue(
    ExportFilter,
    { machine, person, lot, type, kind, ...boundOf("from", options.from), ...boundOf("to", options.to) },
    "the options",
  );
  return { filter, format: format as "jsonl" | "csv", names: format === "csv" && options.names };
}

/** A bound is a record's number when it has digits only. */
function boundOf(name: "from" | "to", given: string | undefined): Record<string, unknown> {
  if (given === undefined) return {};
  return /^\d+$/.test(given) ? { [`${name}Seq`]: Number(given) } : { [name]: typedInstant(`--${name}`, given) };
}

/** @param demandNone - throws once Ctrl-C was pressed: what was begun is then cleared away. */
function fetchFrom(hub: SignedInHub, begun: ExportBegun, demandNone: () => void): FetchPage {
  return async (from) => {
    demandNone();
    const page = await hub.call(begun.book, "book-export-page", { id: begun.id, from });
    demandNone();
    return page;
  };
}

async function writeFile(
  terminal: Terminal,
  { out, format, separator, bom }: ExportOptions,
  begun: ExportBegun,
  fetch: FetchPage,
): Promise<Written> {
  const bar = await startProgress(terminal.stderr, `records of the book ${begun.book}`, begun.size);
  const onProgress = (done: number) => bar.update(done, "");
  try {
    return await writeNewFile(out, (sink) =>
      format === "csv"
        ? writeCsv(sink, begun, fetch, { separator, byteOrderMark: bom === true, onProgress })
        : writeJsonLines(sink, begun, fetch, onProgress),
    );
  } finally {
    bar.stop();
  }
}

function outcomeOf(file: string, begun: ExportBegun, written: Written): Outcome {
  const { id, book, size, root, filter, checkpoint, onRecord } = begun;
  const data = { id, file, book, size, root, filter, ...written, checkpoint, onRecord };
  const facts = list([
    ["file", file],
    ["book", `${book}, ${size} records`],
    ["root", root],
    ["exported", written.records],
    ["left out", written.omitted],
    ["checkpoint", checkpoint === null ? "none yet: the file proves its records by hashes only" : "signed"],
  ]);
  const notes = [
    ...(onRecord ? [] : ["The book is damaged and takes no records: this export is not on record."]),
    ...(written.unreadable === 0
      ? []
      : [`${written.unreadable} records are DAMAGED in the book and not in the file: rastro audit verify names them.`]),
  ];
  const exit = written.unreadable === 0 ? EXIT.done : EXIT.no;
  return { data, text: [facts, ...notes].join("\n\n"), exit };
}

/** The first Ctrl-C lets the export clear away what it has written; a second one ends it at once. */
function listenForInterrupt(): { demandNone: () => void; stop: () => void } {
  let isInterrupted = false;
  const hear = () => void (isInterrupted = true);
  process.once("SIGINT", hear).once("SIGTERM", hear);
  return {
    demandNone() {
      if (isInterrupted) throw new Interrupted();
    },
    stop: () => void process.off("SIGINT", hear).off("SIGTERM", hear),
  };
}

/** A checkpoint covers a record within a second or two of its booking. */
const COVERED_MS = 5000;
const LOOK_AGAIN_MS = 250;

async function proveSoon(hub: SignedInHub, book: BookName, wanted: RequestInput<"audit", "book-prove">) {
  const until = Date.now() + COVERED_MS;
  for (;;) {
    try {
      return await hub.call(book, "book-prove", wanted);
    } catch (error) {
      const isTooEarly = error instanceof RastroError && error.code === "no_checkpoint";
      if (!isTooEarly || Date.now() > until) throw error;
      await pause(LOOK_AGAIN_MS);
    }
  }
}

export async function runProve(terminal: Terminal, which: string, options: ProveOptions): Promise<Outcome> {
  const book = parseValue(BookName, options.book, "--book");
  const wanted = /^\d+$/.test(which)
    ? { seq: parseValue(Count, Number(which), "the number of the record") }
    : { id: parseValue(Uuid7, which, "the number or id of the record") };
  const answer = await withHub(terminal.env, (hub) => proveSoon(hub, book, wanted));
  const { text, head, signers } = proofFile(answer);
  await writeNewFile(options.out, (sink) => sink.write(text));
  const { seq, leaf } = answer.record;
  const data = { file: options.out, book, seq, leaf, origin: head.origin, size: head.size, signers };
  const facts = list([
    ["file", options.out],
    ["record", `${seq} of the book ${book}, leaf ${leaf}`],
    ["checkpoint", `${head.origin}, ${head.size} records`],
    ["signed by", signers.join(", ")],
  ]);
  return { data, text: `${facts}\n\nCheck it anywhere: rastro verify ${options.out} --policy <file>` };
}
