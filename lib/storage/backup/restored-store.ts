import type { Outbox } from "../outbox/outbox.ts";
import type { KeysOfPeople } from "../people/sealed-reason.ts";
import type { Store } from "../store/store.ts";
import { restoredEvent } from "./events.ts";
import type { BackupOptions } from "./service-backups.ts";

/**
 * Tells audit, once, of a restore that left word of itself, of a store that is no book.
 *
 * @throws what the keys and the store throw; the next start tries again.
 */
export async function tellRestored(o: {
  store: Pick<Store, "write">;
  outbox: Pick<Outbox, "stage" | "receiptOf">;
  tz: string;
  keys: KeysOfPeople;
  backups: Pick<BackupOptions, "restored" | "onRecorded">;
}): Promise<void> {
  const mark = o.backups.restored;
  if (mark === null) return;
  if ((await o.outbox.receiptOf(mark.event)) === undefined) {
    const event = await restoredEvent(mark, o);
    await o.store.write((tx) => void o.outbox.stage(tx, event));
  }
  await o.backups.onRecorded();
}
