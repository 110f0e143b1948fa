import { RastroError } from "../../contracts/errors.ts";
import { keys, readU64 } from "../keys.ts";
import { NotTheNext, RecordWriter } from "../book/record-writer.ts";
import { replayIntake } from "../intake/replay-intake.ts";
import type { Store } from "../store/store.ts";

/** Records that one batch writes. */
const BATCH = 200;

/**
 * Writes the first records of a book into a store that is empty, and what its intake knows with them. Every record is
 * opened, hashed and chained anew on the way, and at the end all of them have to give the root that is expected.
 *
 * @param o.root - over the first `size` records.
 * @throws RastroError `book_damaged` naming the first record that does not fit; `store_unusable`.
 */
export async function copyRecords(o: {
  from: Pick<Store, "range">;
  to: Store;
  size: number;
  root: Uint8Array;
  onProgress?: (done: number, of: number) => void;
}): Promise<void> {
  const writer = RecordWriter.on(o.to);
  if (writer === null || writer.size > 0) throw damaged("the store to write into is not empty");
  let page: Buffer[] = [];
  const write = async () => {
    await append(writer, page);
    o.onProgress?.(writer.size, o.size);
    page = [];
  };
  for await (const [key, bytes] of o.from.range({ gte: keys.record(0), lt: keys.record(o.size) })) {
    const expected = writer.size + page.length;
    if (readU64(key, 1) !== expected) throw damaged(`record ${expected} is missing`);
    page.push(bytes);
    if (page.length === BATCH) await write();
  }
  if (page.length > 0) await write();
  if (writer.size !== o.size) throw damaged(`record ${writer.size} is missing`);
  if (writer.rootAt(o.size)?.equals(o.root) !== true) throw damaged(`its ${o.size} records give another root`);
}

async function append(writer: RecordWriter, page: readonly Buffer[]): Promise<void> {
  try {
    await writer.append(page, (tx, records) => records.forEach((record) => replayIntake(tx, record)));
  } catch (error) {
    throw error instanceof NotTheNext ? damaged(error.message) : error;
  }
}

function damaged(why: string): RastroError {
  return new RastroError({ code: "book_damaged", message: `Copying a book failed: ${why}.` });
}
