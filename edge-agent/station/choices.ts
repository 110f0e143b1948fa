import { parseJson } from "../../lib/contracts/parse.ts";
import type { EntryFields } from "../../lib/contracts/production.ts";
import { Choices } from "../../lib/contracts/station.ts";
import type { Store, Tx } from "../../lib/storage/store/store.ts";

/** Words of each kind that a form offers. */
const MAXIMUM = 200;
const KEY = Buffer.from("sstation/choices");
const NONE: Choices = { lots: [], orders: [], products: [], operations: [], defects: [], locations: [] };

/** What people may pick from: kept on disk beside the entries, so that it is there without the hub and after a start. */
export interface KeptChoices {
  /** While the store cannot be read (a full disk closes it) the last that were known. */
  now(): Choices;
  /** Puts what entries name first, as part of another write. @param oldestFirst - of the entries. */
  note(tx: Tx, oldestFirst: readonly EntryFields[]): void;
}

/** What cannot be read any more is begun anew: it is offered again as soon as it is used. */
export function openChoices(store: Pick<Store, "getNow">): KeptChoices {
  const read = (bytes: Buffer | undefined): Choices => {
    try {
      return bytes === undefined ? NONE : parseJson(Choices, bytes, "what the form offers");
    } catch {
      return NONE;
    }
  };
  let known = NONE;
  return {
    now: () => {
      try {
        return (known = read(store.getNow(KEY)));
      } catch {
        return known;
      }
    },
    note(tx, oldestFirst) {
      const before = tx.get(KEY);
      const after = Buffer.from(JSON.stringify(oldestFirst.reduce(withEntry, read(before))));
      if (before === undefined || !after.equals(before)) tx.put(KEY, after);
    },
  };
}

/** The same with what an entry names first in each list. */
function withEntry(choices: Choices, entry: EntryFields): Choices {
  const defects = entry.scrap.map(({ defect }) => defect);
  const locations = entry.scrap.map(({ location }) => location);
  return {
    lots: first([entry.lot], choices.lots),
    orders: first([entry.order], choices.orders),
    products: first([entry.product], choices.products),
    operations: first([entry.operation], choices.operations),
    defects: first(defects, choices.defects),
    locations: first(locations, choices.locations),
  };
}

function first(words: readonly (string | null)[], others: readonly string[]): string[] {
  const named = words.filter((word) => word !== null);
  return [...new Set([...named, ...others])].slice(0, MAXIMUM);
}
