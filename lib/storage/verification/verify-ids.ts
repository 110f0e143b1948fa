import { attempt, type Findings } from "../../ledger/findings.ts";
import { leafHash } from "../../ledger/hash.ts";
import { RecordForms } from "../../ledger/record-forms.ts";
import { hashIn, tileOf } from "../../ledger/tiles.ts";
import type { StoredBook } from "../../ledger/walk.ts";
import type { Database, KeyRange } from "../level/database.ts";
import { IdSums } from "./id-sums.ts";
import { IDS, keys, readSeqText } from "../keys.ts";
import type { BlockCheckers } from "./verify-pool.ts";

/** Parts of the ids for each checker: they are not spread evenly over time. */
const PARTS_EACH = 4;
/** Rows that are read at once where each is looked at by itself. */
const BATCH = 256;

type Rows = Pick<Database, "iterator">;

/** Adds up the ids that lead to records before `size`, on all checkers; null when a part cannot be read. */
export async function sumStoredIds(
  o: { database: Rows; checkers: BlockCheckers; seeds: readonly [number, number] },
  size: number,
): Promise<IdSums | null> {
  const total = new IdSums(o.seeds);
  const parts = await partsOf(o.database, o.checkers.width === 1 ? 1 : o.checkers.width * PARTS_EACH);
  const sums = await Promise.all(parts.map((part) => o.checkers.ids(part, size)));
  for (const part of sums) {
    if (part === null) return null;
    total.merge(part);
  }
  return total;
}

/** Ids begin with the time at which they were made, so that equal spans of it are parts of a like size. */
async function partsOf(database: Rows, count: number): Promise<KeyRange[]> {
  const [first, last] = [await edgeOf(database, false), await edgeOf(database, true)];
  if (count === 1 || first === null || last === null || first >= last) return [IDS];
  const cuts = Array.from({ length: count - 1 }, (_, index) => {
    const time = Math.floor(first + ((last - first) * (index + 1)) / count);
    const digits = time.toString(16).padStart(12, "0");
    return Buffer.concat([IDS.gte, Buffer.from(`${digits.slice(0, 8)}-${digits.slice(8)}`)]);
  });
  return [IDS.gte, ...cuts].map((gte, index) => ({ gte, lt: cuts[index] ?? IDS.lt }));
}

async function edgeOf(database: Rows, reverse: boolean): Promise<number | null> {
  const iterator = database.iterator({ ...IDS, reverse, limit: 1 });
  try {
    const [row] = await iterator.nextv(1);
    const [, high, low] = /^d([0-9a-f]{8})-([0-9a-f]{4})-/.exec(row?.[0].toString("latin1") ?? "") ?? [];
    return high === undefined || low === undefined ? null : Number.parseInt(high + low, 16);
  } catch {
    return null;
  } finally {
    await iterator.close();
  }
}

/** What ids are named for: those that somebody has to look at one by one. */
export type IdQuestions = { database: Rows; stored: StoredBook; findings: Findings; named: Set<string> };

/** Names every record of a range whose id does not lead to it. */
export async function nameLostIds(o: IdQuestions, begin: number, end: number): Promise<void> {
  const forms = new RecordForms();
  const range = { gte: keys.record(begin), lt: keys.record(end), keys: false, valueEncoding: "utf8" } as const;
  for await (const rows of rowsOf(o.database, range)) {
    for (const [, text] of rows) {
      const parts = forms.read(text as unknown as string);
      if (parts === null || o.named.has(parts.id)) continue;
      const { value, fault } = attempt(() => o.stored.seqOf(parts.id));
      if (value !== parts.seq)
        report(o, parts.seq, parts.id, `record ${parts.seq}`, String(value ?? fault ?? "nothing"));
    }
  }
}

/** Names every id that leads to a record before `size` that has another one. */
export async function nameStrayIds(o: IdQuestions, size: number): Promise<void> {
  const forms = new RecordForms();
  for await (const rows of rowsOf(o.database, IDS)) {
    for (const [key, value] of rows) {
      const id = key.toString("utf8", 1);
      const seq = attempt(() => readSeqText(value)).value ?? size;
      if (seq >= size || o.named.has(id)) continue;
      const text = soundText(o.stored, seq);
      const parts = text === null ? null : forms.read(text);
      if (parts !== null && parts.id !== id) report(o, seq, id, "nothing", `record ${seq}, which has another id`);
    }
  }
}

/** Null for a record that is not what the tree has: it is named as such, and may have had any id. */
function soundText(stored: StoredBook, seq: number): string | null {
  const bytes = attempt(() => stored.record(seq)).value;
  const { level, index, at } = tileOf(0, seq);
  const leaf = attempt(() => hashIn(stored.tile(level, index), at)).value;
  if (bytes === null || leaf === null || !leafHash(bytes).equals(leaf)) return null;
  return Buffer.from(bytes).toString("utf8");
}

function report(o: IdQuestions, seq: number, id: string, expected: string, found: string): void {
  o.named.add(id);
  o.findings.report(seq, "index", { at: "id", id }, expected, found);
}

/** What can be read of a range; where a part cannot, the walk has named its records. */
async function* rowsOf(database: Rows, range: Parameters<Rows["iterator"]>[0]): AsyncGenerator<[Buffer, Buffer][]> {
  const iterator = database.iterator(range);
  try {
    for (;;) {
      const rows = await iterator.nextv(BATCH).catch(() => []);
      if (rows.length === 0) return;
      yield rows;
    }
  } finally {
    await iterator.close();
  }
}
