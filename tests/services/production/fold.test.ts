import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EntryFields, Totals } from "../../../lib/contracts/production.ts";
import { canonicalText } from "../../../lib/ledger/canonical.ts";
import type { FoldableRecord } from "../../../services/production/entry-state.ts";
import { foldRecord, stateOf } from "../../../services/production/fold.ts";
import { decodeTotals, scrapPieces } from "../../../services/production/totals.ts";
import { ALL_TOTALS, lotTotalsKey } from "../../../services/production/view-keys.ts";
import { histories } from "./histories.ts";
import { createMemoryTx } from "./memory-tx.ts";

function fold(records: FoldableRecord[]) {
  const tx = createMemoryTx();
  records.forEach((record, seq) => foldRecord(tx, { seq, leaf: seq.toString(16).padStart(64, "0") }, record));
  return tx;
}

function entryIn(record: FoldableRecord): string {
  return (record.event as { obj: { key: string } }).obj.key;
}

/** The totals, counted from the last version of each entry, without any of the fold's own arithmetic. */
function count(records: FoldableRecord[], lot: string | null): Totals {
  const last = new Map<string, { fields: EntryFields; voided: boolean }>();
  for (const record of records) {
    const { added } = record;
    if (added.result !== "booked") continue;
    last.set(entryIn(record), { fields: (added.after ?? added.before) as EntryFields, voided: added.after === null });
  }
  const inScope = [...last.values()].filter((entry) => lot === null || entry.fields.lot === lot);
  const live = inScope.filter((entry) => !entry.voided).map((entry) => entry.fields);
  const sum = (of: (one: EntryFields) => number) => live.reduce((total, one) => total + of(one), 0);
  const distinct = (of: (one: EntryFields) => string | null) =>
    new Set(live.map(of).filter((name) => name !== null)).size;
  return {
    good: sum((one) => one.good),
    scrap: sum(scrapPieces),
    rework: sum((one) => one.rework),
    review: sum((one) => one.review),
    orders: distinct((one) => one.order),
    machines: distinct((one) => one.machine),
    lots: distinct((one) => one.lot),
    entries: live.length,
    voided: inScope.length - live.length,
  };
}

describe("the views after any history", () => {
  it("hold the totals that counting the entries gives, of all and of each lot", () => {
    fc.assert(
      fc.property(histories, (records) => {
        const tx = fold(records);
        expect(decodeTotals(tx.get(ALL_TOTALS))).toEqual(count(records, null));
        for (const lot of ["L-1", "L-10", "L-1\u00e7", "vL"]) {
          expect(decodeTotals(tx.get(lotTotalsKey(lot)))).toEqual(count(records, lot));
        }
      }),
    );
  });

  it("are the same bytes whether folded as the records were made or as the book gives them back", () => {
    fc.assert(
      fc.property(histories, (records) => {
        const readBack = records.map((record) => JSON.parse(canonicalText(record)) as FoldableRecord);
        expect(fold(readBack).dump()).toEqual(fold(records).dump());
      }),
    );
  });

  it("keep every version's record and the newest snapshot of each entry", () => {
    fc.assert(
      fc.property(histories, (records) => {
        const tx = fold(records);
        const booked = [...records.entries()].filter(([, record]) => record.added.result === "booked");
        for (const [, record] of booked) {
          const key = entryIn(record);
          const own = booked.filter(([, other]) => entryIn(other) === key);
          expect(stateOf(tx, key)).toMatchObject({ rev: own.length, seqs: own.map(([seq]) => seq) });
        }
      }),
    );
  });
});
