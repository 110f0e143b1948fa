import type { Event } from "../../lib/contracts/events.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import { keys } from "../../lib/storage/keys.ts";
import { decodeStaged } from "../../lib/storage/outbox/outbox-event.ts";
import type { Store } from "../../lib/storage/store/store.ts";

/** Every event that the outbox of a store keeps, waiting or sealed, in its order. */
export async function stagedIn(store: Store, book: BookName): Promise<Event[]> {
  const range = { gte: keys.outbox.event(book, 0), lt: keys.outbox.event(book, Number.MAX_SAFE_INTEGER) };
  const events: Event[] = [];
  for await (const [, bytes] of store.range(range)) {
    events.push(JSON.parse(String(decodeStaged(bytes)?.text)) as Event);
  }
  return events;
}
