import { type Outbox, SEALED_KEPT_MS } from "../lib/storage/outbox/outbox.ts";
import type { Store } from "../lib/storage/store/store.ts";
import { SEEN_PREFIX } from "./door/entry-intake.ts";
import type { SecondDisk } from "./second-disk.ts";
import { MADE_PREFIX } from "./station/entries.ts";

export type HousekeepingOptions = { store: Store; outboxes: Outbox[]; entries: Outbox; secondDisk: SecondDisk };

/**
 * Puts away what was receipted more than 30 days ago, and with it what door and station remember of it. Until then it is kept
 * sealed: a hub that was restored from a backup asks for it again (decision 17). Where a standby follows the book, it is
 * kept until that has it too.
 */
export async function tidyUp({ store, outboxes, entries, secondDisk }: HousekeepingOptions): Promise<void> {
  for (const outbox of outboxes) await outbox.prune(SEALED_KEPT_MS, secondDisk.covered(outbox.book) ?? undefined);
  for (const prefix of [SEEN_PREFIX, MADE_PREFIX]) await forgetPutAway({ store, entries, prefix });
}

async function forgetPutAway(o: Pick<HousekeepingOptions, "store" | "entries"> & { prefix: string }): Promise<void> {
  for await (const [key] of o.store.range({ gte: Buffer.from(o.prefix), lt: Buffer.from(`${o.prefix}~`) })) {
    const id = key.toString().slice(o.prefix.length);
    if ((await o.entries.receiptOf(id)) === undefined) await o.store.write((tx) => tx.del(key));
  }
}
