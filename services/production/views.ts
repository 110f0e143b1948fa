import { RastroError } from "../../lib/contracts/errors.ts";
import type { Totals } from "../../lib/contracts/production.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { decodeState, type EntryState } from "./entry-state.ts";
import { unknownLot } from "./rules.ts";
import { decodeTotals } from "./totals.ts";
import { ALL_TOTALS, cursorOf, entryKey, lotListing, lotOfTotalsKey, LOTS, lotTotalsKey, NEWEST } from "./view-keys.ts";

/** How many lots are looked through for one that is spelled alike; a hint is not worth more. */
const LOTS_COMPARED = 20_000;

export type Page = { entries: EntryState[]; next: string | null };

/** What can be read from the views. Everything here is as of the last committed batch. */
export type Views = {
  entry(id: string): Promise<EntryState | undefined>;
  /** @throws RastroError `unknown_lot`, `schema` for a cursor that no listing gave. */
  list(o: { lot: string | null; limit: number; after: string | null }): Promise<Page>;
  /** @throws RastroError `unknown_lot`. */
  totals(lot: string | null): Promise<Totals>;
  /** Lots that ever had an entry, in the order of their bytes. */
  lots(): Promise<string[]>;
};

export function openViews(store: Store): Views {
  const entry = async (id: string) => {
    const bytes = await store.get(entryKey(id));
    return bytes === undefined ? undefined : decodeState(bytes);
  };
  const lots = async () => {
    const names: string[] = [];
    for await (const [key] of store.range({ ...LOTS, limit: LOTS_COMPARED })) names.push(lotOfTotalsKey(key));
    return names;
  };
  const requireLot = async (lot: string) => {
    const bytes = await store.get(lotTotalsKey(lot));
    if (bytes === undefined) throw unknownLot(lot, "lot", await lots());
    return bytes;
  };
  return {
    entry,
    lots,
    async list({ lot, limit, after }) {
      if (lot !== null) await requireLot(lot);
      const found = await pageOf(store, lot === null ? NEWEST : lotListing(lot), limit, after);
      const states = await Promise.all(found.ids.map(entry));
      return { entries: states.filter((state) => state !== undefined), next: found.next };
    },
    async totals(lot) {
      return decodeTotals(lot === null ? await store.get(ALL_TOTALS) : await requireLot(lot));
    },
  };
}

/** The ids below a prefix, newest first, from behind the cursor on; one more is looked for to know whether to go on. */
async function pageOf(store: Store, prefix: Buffer, limit: number, after: string | null) {
  const end = Buffer.concat([prefix, after === null ? Buffer.alloc(9, 0xff) : parseCursor(after)]);
  const ids: string[] = [];
  let last: Buffer | null = null;
  for await (const [key, id] of store.range({ gte: prefix, lt: end, reverse: true, limit: limit + 1 })) {
    if (ids.length === limit) return { ids, next: last === null ? null : cursorOf(last) };
    ids.push(id.toString("latin1"));
    last = key;
  }
  return { ids, next: null };
}

function parseCursor(after: string): Buffer {
  if (/^[0-9a-f]{16}$/.test(after)) return Buffer.from(after, "hex");
  throw new RastroError({
    code: "schema",
    message: `Listing entries failed: after is "${after}"; expected: the "next" of an earlier page.`,
    field: "after",
    given: after,
    expected: 'the "next" of an earlier page',
  });
}
