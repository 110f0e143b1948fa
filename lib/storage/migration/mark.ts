import { z } from "zod";
import { Count, Instant, Sha256Hex } from "../../contracts/names.ts";
import { EMPTY_ROOT } from "../../ledger/hash.ts";
import { rootOf } from "../../ledger/tree.ts";
import type { Database } from "../level/database.ts";
import { decodeHead } from "../book/head-state.ts";
import { HEAD_KEY } from "../keys.ts";

/** Under it lies the mark of a migration that goes on. */
export const MARK_KEY: Buffer = Buffer.from("m/migration");

/** What a book was when its migration began. */
const BookThen = { size: Count, root: Sha256Hex };

/** The word of a migration that goes on. */
export const Mark = z.strictObject({
  v: z.literal(1),
  /** The format that the store had. */
  from: Count,
  /** The backup that was made of it; null where it is itself a copy. */
  backup: z.string().nullable(),
  /** When it was begun; null where nobody is told. */
  at: Instant.nullable(),
  ...BookThen,
  /**
   * How far its step has come. `new`: new rows are made beside the old ones, from the first `done` leaves so far. `drop`
   * and `move`: they are whole, and the old ones go, then they take their place.
   */
  progress: z.strictObject({ phase: z.enum(["new", "drop", "move"]), done: Count }),
});
export type Mark = z.infer<typeof Mark>;

/** Null where none goes on, and where what lies there does not read as a mark. */
export function readMark(database: Pick<Database, "getSync">): Mark | null {
  const bytes = database.getSync(MARK_KEY);
  if (bytes === undefined) return null;
  try {
    return Mark.safeParse(JSON.parse(bytes.toString())).data ?? null;
  } catch {
    return null;
  }
}

export function encodeMark(mark: Mark): Buffer {
  return Buffer.from(JSON.stringify(mark));
}

/** What the head of a book says. @throws RangeError where its bytes are no head. */
export function bookNow(database: Pick<Database, "getSync">): { size: number; root: string } {
  const head = decodeHead(database.getSync(HEAD_KEY));
  if (head === null) throw new RangeError("the bytes of the book's head are no head");
  const { range } = head;
  return { size: range.size, root: (range.size === 0 ? EMPTY_ROOT : rootOf(range)).toString("hex") };
}
