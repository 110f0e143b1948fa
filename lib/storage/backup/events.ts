import type { RestoredMark } from "../../contracts/backup.ts";
import { LOCAL_ADMIN } from "../../contracts/directory.ts";
import type { Actor, EventDraft } from "../../contracts/events.ts";
import { type KeysOfPeople, sealReason } from "../people/sealed-reason.ts";
import type { Made } from "./backups.ts";

/** Whoever restores has the data folder in hand, as whoever has the hub's local key. */
export const BY_LOCAL_ADMIN: Actor = { sub: LOCAL_ADMIN, auth: "local" };

/** How far a clock is off is not measured here, and is not claimed. */
const CLOCK: EventDraft["clock"] = { source: "unknown", offsetMs: null };

/** What goes on record of a backup. `o.service` is who made it, for those that the clock asked for. */
export function backupMade(made: Made, o: { id: string; now: number; tz: string; service: string }): EventDraft {
  const { name, bytes, rows, sha256, header } = made.report;
  return {
    id: o.id,
    type: "backup.made",
    at: new Date(o.now).toISOString(),
    tz: o.tz,
    clock: CLOCK,
    actor: made.by ?? { sub: o.service, auth: "service" },
    obj: { kind: "store", key: made.store },
    reason: null,
    payload: {
      name,
      why: made.why,
      bytes,
      rows,
      sha256,
      size: header?.size ?? null,
      root: header?.root ?? null,
    },
  };
}

/**
 * What goes on record of a restore: `book.restored` in the book itself, or `store.restored` in the audit book. Why it was
 * done and by whom is sealed under the key of the local administrator, since both may name people.
 *
 * @throws what `keys` throws.
 */
export async function restoredEvent(mark: RestoredMark, o: { tz: string; keys: KeysOfPeople }): Promise<EventDraft> {
  const { backup, madeAt, from, to, older } = mark;
  const isBook = to !== null;
  return {
    id: mark.event,
    type: isBook ? "book.restored" : "store.restored",
    at: mark.at,
    tz: o.tz,
    clock: CLOCK,
    actor: BY_LOCAL_ADMIN,
    obj: { kind: isBook ? "book" : "store", key: mark.store },
    reason: { code: older ? "RESTORED_OLDER" : "RESTORED", text: await sealedText(mark, o.keys) },
    payload: { backup, madeAt, from, to, older },
  };
}

async function sealedText(mark: RestoredMark, keys: KeysOfPeople) {
  const person = await keys.of(LOCAL_ADMIN);
  if (person === null) return null;
  const text = [mark.reason, `(restored by ${mark.by})`].filter((part) => part !== null).join(" ");
  return sealReason(person.key, LOCAL_ADMIN, text, mark.event);
}
