import { RastroError } from "../../contracts/errors.ts";
import type { ExportItem, ExportPage } from "../../contracts/export.ts";
import type { BookName } from "../../contracts/names.ts";
import { leafHash } from "../../ledger/hash.ts";
import { type LedgerRecord, openRecord } from "../../ledger/record.ts";
import { type NodeReader, subtreesOf } from "../../ledger/tree.ts";
import { asksForNumbersOnly, fits, numbersOf, type ResolvedFilter } from "./export-filter.ts";
import { keys } from "../keys.ts";
import type { Store } from "../store/store.ts";
import { storedNodes } from "../book/stored-tiles.ts";
import type { ReadWords, Words } from "./words.ts";

/**
 * Bytes of JSON in one page. Far below what a broker lets through, and below 128 KiB: V8 keeps longer texts apart from
 * what it collects often, and hundreds of MiB of them would come together.
 */
const PAGE_BYTES = 100_000;
/**
 * Records that are read in one go. By their keys, not by an iterator for each page: what LevelDB keeps for an iterator is
 * freed when V8 next collects everything, which with little garbage is seldom.
 */
const READ_AT_ONCE = 64;
/** Records of which the tiles are kept that were read for them, while records are counted. */
const NODES_KEPT_FOR = 1024;
/** How long a page is looked for among records that do not fit, ms: the caller sees that it goes on. */
const PAGE_MS = 250;

/** The records of a store's book, as an export hands them out: in pages, each read from the disk when it is asked for. */
export type ExportPages = {
  /**
   * What follows `from`: records that fit, and gaps where others are, without a hole.
   *
   * @throws RastroError `book_damaged` when the hash over a gap is missing.
   */
  page(filter: ResolvedFilter, size: number, from: number, words: ReadWords | null): Promise<ExportPage>;
  /** How many records fit. Reads all that may. */
  count(filter: ResolvedFilter, size: number, onProgress: (done: number, of: number) => void): Promise<number>;
};

type GapKind = "omitted" | "unreadable";

export function createExportPages(o: {
  store: Pick<Store, "getMany" | "getNow">;
  book: BookName;
  now: () => number;
}): ExportPages {
  const nodes = () => storedNodes(o.store, (level, index) => missing(o.book, level, index));

  /** Every number of the range with the bytes that lie there, null where none do or they cannot be read. */
  async function* stored(from: number, to: number): AsyncGenerator<[number, Buffer | null]> {
    for (let first = from; first < to; first += READ_AT_ONCE) {
      const numbers = Array.from({ length: Math.min(READ_AT_ONCE, to - first) }, (_, index) => first + index);
      const rows = await readMany(numbers);
      for (const [index, bytes] of rows.entries()) yield [first + index, bytes ?? null];
    }
  }

  /** One unreadable record makes the reading of many fail; then each is read by itself. */
  async function readMany(numbers: number[]): Promise<(Buffer | undefined)[]> {
    try {
      return await o.store.getMany(numbers.map(keys.record));
    } catch {
      return numbers.map(readOne);
    }
  }

  function readOne(seq: number): Buffer | undefined {
    try {
      return o.store.getNow(keys.record(seq));
    } catch {
      return undefined;
    }
  }

  return {
    async page(filter, size, from, words) {
      const wanted = numbersOf(filter, size);
      const nodeAt = nodes();
      const draft = new Draft(nodeAt, from);
      if (from < wanted.from) return draft.leaveOut(wanted.from);
      if (from >= wanted.to) return draft.leaveOut(size);
      const until = o.now() + PAGE_MS;
      for await (const [seq, bytes] of stored(from, wanted.to)) {
        const judged = judge(filter, seq, bytes, nodeAt);
        if (typeof judged === "string") draft.pass(judged);
        else if (!draft.take(bytes as Buffer, words === null ? NO_WORDS : await words(judged))) break;
        if (o.now() > until) break;
      }
      return draft.finish();
    },

    async count(filter, size, onProgress) {
      const { from, to } = numbersOf(filter, size);
      let count = 0;
      let nodeAt = nodes();
      for await (const [seq, bytes] of stored(from, to)) {
        if (seq % NODES_KEPT_FOR === 0) nodeAt = nodes();
        if (typeof judge(filter, seq, bytes, nodeAt) === "object") count += 1;
        onProgress(seq + 1, size);
      }
      return count;
    },
  };
}

const NO_WORDS = { who: null, text: null };

/** Only what is exactly the record of the tree is handed out as one. */
function judge(filter: ResolvedFilter, seq: number, bytes: Buffer | null, nodeAt: NodeReader): LedgerRecord | GapKind {
  if (bytes === null) return "unreadable";
  try {
    // To write the canonical form takes longer than to read JSON, and is needed of those that fit only.
    if (!asksForNumbersOnly(filter) && !fits(filter, JSON.parse(bytes.toString("utf8")) as LedgerRecord)) {
      return "omitted";
    }
    const record = openRecord(bytes);
    return record.seq === seq && nodeAt(0, seq).equals(leafHash(bytes)) ? record : "unreadable";
  } catch {
    return "unreadable";
  }
}

/** A page as it grows: records as they come, and what lies between them in as few gaps as there can be. */
class Draft {
  readonly #nodeAt: NodeReader;
  readonly #items: ExportItem[] = [];
  #next: number;
  #gap: { kind: GapKind; from: number } | null = null;
  #bytes = 0;

  constructor(nodeAt: NodeReader, from: number) {
    this.#nodeAt = nodeAt;
    this.#next = from;
  }

  /** Passes the next record over. */
  pass(kind: GapKind): void {
    if (this.#gap?.kind !== kind) {
      this.#closeGap();
      this.#gap = { kind, from: this.#next };
    }
    this.#next += 1;
  }

  /** @returns false when the page is full, and the record not in it. A page takes one, however long. */
  take(bytes: Buffer, words: Words): boolean {
    const item = { seq: this.#next, record: bytes.toString("utf8"), ...words };
    this.#bytes += Buffer.byteLength(JSON.stringify(item));
    if (this.#bytes > PAGE_BYTES && this.#items.length > 0) return false;
    this.#closeGap();
    this.#items.push(item);
    this.#next += 1;
    return true;
  }

  /** A page that leaves out everything up to a number. */
  leaveOut(to: number): ExportPage {
    if (to > this.#next) this.#gap = { kind: "omitted", from: this.#next };
    this.#next = Math.max(to, this.#next);
    return this.finish();
  }

  finish(): ExportPage {
    this.#closeGap();
    return { items: this.#items, next: this.#next };
  }

  #closeGap(): void {
    if (this.#gap === null) return;
    const { kind, from } = this.#gap;
    const hashes = subtreesOf(from, this.#next).map(({ level, index }) => this.#nodeAt(level, index).toString("hex"));
    this.#items.push({ gap: kind, from, to: this.#next, hashes });
    this.#gap = null;
  }
}

function missing(book: BookName, level: number, index: number): RastroError {
  const message = `Exporting the book ${book} failed: node ${index} of level ${level} is missing. Keep a copy of the folder and run a verification.`;
  return new RastroError({ code: "book_damaged", message });
}
