import type { Event } from "../../lib/contracts/events.ts";
import type { RequestOf, ResponseOf } from "../../lib/contracts/operations.ts";
import type { EntryVersion } from "../../lib/contracts/production.ts";
import { nameOf } from "../../lib/messaging/principals.ts";
import type { Book } from "../../lib/storage/book/book.ts";
import type { ReadReason } from "../../lib/storage/people/sealed-reason.ts";
import { entryOf, type EntryState } from "./entry-state.ts";
import { checkReporter, type Names, unknownEntry } from "./rules.ts";
import type { Views } from "./views.ts";

export type Reads = {
  [O in "entry-show" | "entry-list" | "entry-totals" | "entry-receipts" | "report-check"]: (
    body: RequestOf<"production", O>,
  ) => Promise<ResponseOf<"production", O>>;
};

/** The requests that change nothing. They answer from what is on disk. */
export function createReads(o: {
  views: Views;
  book: Pick<Book, "leafAt" | "open">;
  names: Pick<Names, "bySub" | "byName">;
  readReason: ReadReason;
}): Reads {
  return {
    async "entry-show"({ id }) {
      const state = await o.views.entry(id);
      if (state === undefined) throw unknownEntry(id);
      return { entry: entryOf(state), versions: await versionsOf(o, state) };
    },
    async "entry-list"(page) {
      const { entries, next } = await o.views.list(page);
      return { entries: entries.map(entryOf), next };
    },
    "entry-totals": ({ lot }) => o.views.totals(lot),
    async "entry-receipts"({ ids }) {
      const states = await Promise.all(ids.map((id) => o.views.entry(id)));
      return { receipts: states.map((state) => (state === undefined ? null : entryOf(state).receipt)) };
    },
    async "report-check"({ reporter, machines }) {
      return checkReporter(o.names, reporter, machines);
    },
  };
}

async function versionsOf(o: Parameters<typeof createReads>[0], state: EntryState): Promise<EntryVersion[]> {
  const versions: EntryVersion[] = [];
  for (const seq of state.seqs) versions.push(await versionOf(o, seq, versions.at(-1)));
  return versions;
}

async function versionOf(
  o: Parameters<typeof createReads>[0],
  seq: number,
  before: EntryVersion | undefined,
): Promise<EntryVersion> {
  const record = o.book.open(seq);
  if (record === undefined) throw new Error(`the views name record ${seq}, and the book has none`);
  const { event: anyEvent, recv, via, added } = record;
  const event = anyEvent as Event;
  return {
    rev: added.rev as number,
    type: event.type as EntryVersion["type"],
    event: event.id,
    seq,
    leaf: o.book.leafAt(seq) as string,
    at: event.at,
    recv,
    actor: event.actor.sub,
    who: nameOf(o.names, event.actor.sub),
    via: via.name ?? via.kind,
    // A void says nothing of its own; what it voided is the version before.
    fields: (added.after ?? before?.fields) as EntryVersion["fields"],
    reason: event.reason && {
      code: event.reason.code,
      text: event.reason.text && (await o.readReason(event.reason.text, event.id)),
    },
    flags: added.flags,
  };
}
