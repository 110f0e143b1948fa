import type { EventDraft } from "../../lib/contracts/events.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import { topics } from "../../lib/contracts/topics.ts";
import { type Checkpoint, parseCheckpoint, signedBy } from "../../lib/ledger/checkpoint.ts";
import type { VerifierKey } from "../../lib/ledger/signed-note.ts";
import type { Link } from "../../lib/messaging/link.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { ServiceSelf } from "../../lib/storage/book/service-event.ts";
import type { BookOwnAct } from "./own-acts.ts";

/** At most one record in so long, ms. A log is heard once a minute, so that its last word is anchored soon after. */
const EVERY_MS = 60_000;

/** Longer notes are anchored without their cosignatures: a record has its bounds. */
const NOTE_MAXIMUM = 16 * 1024;

/**
 * Puts another book's checkpoints on record here, once a minute while that book grows: who rewrites that one has to
 * rewrite this one as well. What no key of the log signed, or goes back, is left out with a line in the log.
 *
 * @param o.keysOfLog - the keys by which the other log is known, as they are now.
 */
export async function anchorCheckpoints(o: {
  link: Pick<Link, "subscribe">;
  book: BookName;
  keysOfLog: () => Promise<readonly VerifierKey[]>;
  bookOwnAct: BookOwnAct;
  self: Pick<ServiceSelf, "name" | "now" | "tz">;
  newId: () => string;
  log: Logger;
}): Promise<void> {
  let anchored: { size: number; at: number } | null = null;

  await o.link.subscribe(topics.checkpoint(o.book), async (_topic, payload) => {
    const last = anchored;
    if (last !== null && o.self.now() - last.at < EVERY_MS) return;
    const checkpoint = readCheckpoint(payload);
    const keys = checkpoint === null ? [] : signedBy(checkpoint, await o.keysOfLog());
    if (checkpoint === null || keys.length === 0) {
      return o.log.warn({ book: o.book }, "a checkpoint that no key of its log signed was not anchored");
    }
    const { size } = checkpoint.head;
    if (size === last?.size) return;
    if (size < (last?.size ?? 0)) {
      return o.log.error(
        { book: o.book, size, anchored: last?.size },
        "a book is smaller than what was anchored of it",
      );
    }
    // Before it is on disk: the next one must not be anchored beside it.
    anchored = { size, at: o.self.now() };
    await o.bookOwnAct(anchoredEvent(o, checkpoint, payload.toString("utf8")));
  });
}

function readCheckpoint(payload: Buffer): Checkpoint | null {
  try {
    return parseCheckpoint(payload.toString("utf8"));
  } catch {
    return null;
  }
}

function anchoredEvent(
  o: { book: BookName; self: Pick<ServiceSelf, "name" | "now" | "tz">; newId: () => string },
  { head, note }: Checkpoint,
  whole: string,
): EventDraft {
  return {
    id: o.newId(),
    type: "checkpoint.anchored",
    at: new Date(o.self.now()).toISOString(),
    tz: o.self.tz,
    clock: { source: "unknown", offsetMs: null },
    actor: { sub: o.self.name, auth: "service" },
    obj: { kind: "book", key: o.book },
    reason: null,
    payload: {
      size: head.size,
      root: head.root.toString("hex"),
      note: whole.length <= NOTE_MAXIMUM ? whole : note.text,
    },
  };
}
