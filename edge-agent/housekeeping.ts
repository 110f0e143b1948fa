import { type Outbox, SEALED_KEPT_MS } from "../lib/storage/outbox/outbox.ts";
import type { Store } from "../lib/storage/store/store.ts";
import { SEEN_PREFIX } from "./door/entry-intake.ts";
import type { SecondDisk } from "./second-disk.ts";

export type HousekeepingOptions = { store: Store; outboxes: Outbox[]; entries: Outbox; secondDisk: SecondDisk };

/**
 * Puts away what was receipted more than 30 days ago, and with it what the door remembers of it. Until then it is kept
 * sealed: a hub that was restored from a backup asks for it again (decision 17). Where a standby follows the book, it is
 * kept until that has it too.
 */
export async function tidyUp({ store, outboxes, entries, secondDisk }: HousekeepingOptions): Promise<void> {
  for (const outbox of outboxes) await outbox.prune(SEALED_KEPT_MS, secondDisk.covered(outbox.book) ?? undefined);
  const after = Buffer.from(SEEN_PREFIX);
  const end = Buffer.from(`${SEEN_PREFIX}~`);
  for await (const [key] of store.range({ gte: after, lt: end })) {
    const id = key.toString().slice(SEEN_PREFIX.length);
    if ((await entries.receiptOf(id)) === undefined) await store.write((tx) => tx.del(key));
  }
}
