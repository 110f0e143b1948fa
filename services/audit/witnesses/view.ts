import { RastroError } from "../../../lib/contracts/errors.ts";
import type { BookName } from "../../../lib/contracts/names.ts";
import type { Book } from "../../../lib/storage/book/book.ts";
import { keys } from "../../../lib/storage/keys.ts";
import type { Store, Tx } from "../../../lib/storage/store/store.ts";
import { foldLoss, type LossAccepted, type Losses, lossIn } from "./loss.ts";
import { foldWitness, keptRow, type Told, type WitnessRow, witnessOf } from "./membership.ts";
import { foldTrouble, type Trouble, type TroubleKey, troubleKey } from "./troubles.ts";

/** Every key of this view begins so. */
const VIEW = "witnesses/";
const MARK = keys.view(`${VIEW}mark`);
const ROWS = { gte: keys.view(`${VIEW}rows/`), lt: keys.view(`${VIEW}rows0`) };
const LOSSES = { gte: keys.view(`${VIEW}losses/`), lt: keys.view(`${VIEW}losses0`) };
const OPEN = { gte: keys.view(`${VIEW}open/`), lt: keys.view(`${VIEW}open0`) };

/** Raised whenever the fold changes: a view of another version is made again. */
const VERSION = 2;
/** A mark is set at least so often, in records: a start reads no more than these again. */
const MARK_EVERY = 1024;
/** Records that one batch folds at the start. */
const BATCH = 500;

type Mark = { version: number; folded: number };

/** What the audit book says of its witnesses: who they are, and what is wrong between them and the logs. */
export type WitnessView = {
  rows(): WitnessRow[];
  row(name: string): WitnessRow | null;
  open(): Trouble[];
  /** Which records of a book are known to be gone. */
  losses(book: BookName): Losses;
  find(trouble: TroubleKey): Trouble | null;
  /** Called after each change of a membership that is on disk, with the witness's name. */
  onChange(listener: (name: string) => void): void;
};

/**
 * Opens the view: derived from the book's records, written in their batches, and made again where it does not fit.
 * Reads at most {@link MARK_EVERY} records where it fits.
 */
export async function openWitnessView(o: {
  store: Store;
  book: Pick<Book, "head" | "open" | "onAppend" | "damage">;
}): Promise<WitnessView> {
  const rows = new Map<string, WitnessRow>();
  const open = new Map<string, Trouble>();
  const losses = new Map<BookName, Losses>();
  const listeners: ((name: string) => void)[] = [];

  /** @returns the name of the witness whose membership changed. */
  function fold(tx: Tx, seq: number, told: Told): string | null {
    const about = witnessOf(told);
    const row = about === null ? null : foldWitness(about, rowIn(tx, about), seq, told);
    if (row !== null) putRow(tx, row);
    const trouble = foldTrouble(told);
    if (trouble !== null) foldOpen(tx, trouble);
    const loss = lossIn(told);
    if (loss !== null) foldLosses(tx, loss);
    if (row !== null || trouble !== null || loss !== null || seq % MARK_EVERY === 0) putMark(tx, seq + 1);
    return row?.name ?? null;
  }

  function putRow(tx: Tx, row: WitnessRow): void {
    tx.put(keys.view(`${VIEW}rows/${row.name}`), encode(row));
    tx.onCommit(() => void rows.set(row.name, row));
  }

  function foldOpen(tx: Tx, { key, open: begun }: { key: string; open: Trouble | null }): void {
    const place = keys.view(`${VIEW}open/${key}`);
    if (begun === null) tx.del(place);
    else tx.put(place, encode(begun));
    tx.onCommit(() => (begun === null ? void open.delete(key) : void open.set(key, begun)));
  }

  function foldLosses(tx: Tx, loss: LossAccepted): void {
    const place = keys.view(`${VIEW}losses/${loss.book}`);
    const before = tx.get(place);
    const after = foldLoss(before === undefined ? {} : (decode(before) as Losses), loss);
    tx.put(place, encode(after));
    tx.onCommit(() => void losses.set(loss.book, after));
  }

  // The store of a damaged book may take no writes, and its records are not to be believed: what there is has to do.
  const first = o.book.damage === null ? await firstUnfolded(o) : null;
  for await (const [, value] of o.store.range(ROWS)) keep(rows, keptRow(decode(value) as WitnessRow));
  for await (const [key, value] of o.store.range(OPEN))
    open.set(key.toString("utf8", OPEN.gte.length), decode(value) as Trouble);
  for await (const [key, value] of o.store.range(LOSSES)) {
    losses.set(key.toString("utf8", LOSSES.gte.length) as BookName, decode(value) as Losses);
  }
  if (first !== null) await foldStored(o, first, fold);
  o.book.onAppend((tx, { seq }, told) => {
    const name = fold(tx, seq, told);
    if (name !== null) tx.onCommit(() => listeners.forEach((listener) => listener(name)));
  });

  return {
    rows: () => [...rows.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    row: (name) => rows.get(name) ?? null,
    open: () => [...open.values()],
    losses: (book) => losses.get(book) ?? {},
    find: (trouble) => open.get(troubleKey(trouble)) ?? null,
    onChange: (listener) => void listeners.push(listener),
  };
}

/** Where the fold goes on; an unfit view is removed first. */
async function firstUnfolded({ store, book }: { store: Store; book: Pick<Book, "head"> }): Promise<number> {
  const bytes = await store.get(MARK);
  const mark = bytes === undefined ? null : (decode(bytes) as Mark);
  const { size } = book.head();
  if (mark !== null && mark.version === VERSION && mark.folded <= size) return mark.folded;
  const gone: Buffer[] = [];
  for (const range of [ROWS, OPEN, LOSSES]) for await (const [key] of store.range(range)) gone.push(key);
  await store.write((tx) => {
    for (const key of gone) tx.del(key);
    putMark(tx, 0);
  });
  return 0;
}

async function foldStored(
  { store, book }: { store: Store; book: Pick<Book, "head" | "open"> },
  first: number,
  fold: (tx: Tx, seq: number, told: Told) => unknown,
): Promise<void> {
  const { size } = book.head();
  for (let from = first; from < size; from += BATCH) {
    const to = Math.min(from + BATCH, size);
    await store.write((tx) => {
      for (let seq = from; seq < to; seq += 1) {
        const record = readable(book, seq);
        if (record !== undefined) fold(tx, seq, record);
      }
      putMark(tx, to);
    });
  }
}

/** A record that cannot be read is passed over: verification names it. */
function readable(book: Pick<Book, "open">, seq: number) {
  try {
    return book.open(seq);
  } catch (thrown) {
    if (thrown instanceof RastroError && thrown.code === "book_damaged") return undefined;
    throw thrown;
  }
}

function rowIn(tx: Tx, name: string): WitnessRow | null {
  const bytes = tx.get(keys.view(`${VIEW}rows/${name}`));
  return bytes === undefined ? null : (decode(bytes) as WitnessRow);
}

function keep(rows: Map<string, WitnessRow>, row: WitnessRow): void {
  rows.set(row.name, row);
}

function putMark(tx: Tx, folded: number): void {
  tx.put(MARK, encode({ version: VERSION, folded } satisfies Mark));
}

function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** What {@link encode} wrote; callers say what it is. */
function decode(bytes: Buffer): unknown {
  return JSON.parse(bytes.toString("utf8"));
}
