import { existsSync } from "node:fs";
import { Erasure, openErasures } from "../../broker/directory/erasures.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { Event } from "../../lib/contracts/events.ts";
import { LedgerError } from "../../lib/ledger/error.ts";
import { openRecord } from "../../lib/ledger/record.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import { RECORDS } from "../../lib/storage/keys.ts";
import { Store } from "../../lib/storage/store/store.ts";

/**
 * Adds to the list of erasures what the audit book in place has of them and the list has not: the list is in no backup,
 * and a disk that was lost had the only one. The hub applies it at its next start. Called while nothing runs.
 *
 * @returns how many were added; null where there is no book that can be read.
 */
export async function learnErasures(folders: Pick<Folders, "erasures" | "bookStore">): Promise<number | null> {
  const folder = folders.bookStore("audit");
  if (!existsSync(folder)) return null;
  const book = await Store.openFolder(folder, { migration: "none" }).catch(unlessUnreadable);
  if (book === null) return null;
  try {
    const list = await openErasures(folders.erasures);
    const known = new Set(list.all().map(({ sub }) => sub));
    let added = 0;
    for (const erasure of await erasuresIn(book)) {
      if (known.has(erasure.sub)) continue;
      await list.add(erasure);
      known.add(erasure.sub);
      added += 1;
    }
    return added;
  } finally {
    await book.close();
  }
}

async function erasuresIn(book: Pick<Store, "range">): Promise<Erasure[]> {
  const mark = Buffer.from('"person.erased"');
  const found: Erasure[] = [];
  for await (const [, bytes] of book.range(RECORDS)) {
    const erasure = bytes.includes(mark) ? erasureIn(bytes) : null;
    if (erasure !== null) found.push(erasure);
  }
  return found;
}

/** Null for a record that tells of no erasure, or was not the directory's to tell. */
function erasureIn(bytes: Buffer): Erasure | null {
  const record = recordIn(bytes);
  const { type, at, actor, obj, reason, payload } = (record?.event ?? {}) as Partial<Event>;
  if (type !== "person.erased" || record?.added.result !== "booked") return null;
  const erasure = { v: 1, id: payload?.["erasure"], sub: obj?.key, at, ground: reason?.code, by: actor?.sub };
  return Erasure.safeParse(erasure).data ?? null;
}

/** Null for a damaged record: a verification names it. */
function recordIn(bytes: Buffer) {
  try {
    return openRecord(bytes);
  } catch (thrown) {
    if (thrown instanceof LedgerError) return null;
    throw thrown;
  }
}

function unlessUnreadable(thrown: unknown): null {
  if (thrown instanceof RastroError) return null;
  throw thrown;
}
