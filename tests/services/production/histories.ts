import * as fc from "fast-check";
import type { EntryFields, EntryInput } from "../../../lib/contracts/production.ts";
import type { FoldableRecord } from "../../../services/production/entry-state.ts";
import { fields, NOW, uuid } from "./samples.ts";

/* Random lives of a few entries, as records that could stand in a book. */

type Step = { entry: number; kind: "put" | "void" | "refused"; fields: EntryFields; at: number | null };

const someFields: fc.Arbitrary<EntryFields> = fc
  .record({
    machine: fc.constantFrom("press-01", "press-02", "oven-1"),
    lot: fc.constantFrom("L-1", "L-10", "L-1\u00e7", "vL"),
    order: fc.constantFrom(null, "O-1", "O-2"),
    good: fc.nat(1000),
    rework: fc.nat(9),
    review: fc.nat(9),
    scrap: fc.constantFrom<NonNullable<EntryInput["scrap"]>[]>(
      [],
      [{ defect: "dent", pieces: 3 }],
      [
        { defect: "dent", pieces: null },
        { defect: "crack", pieces: 2 },
      ],
    ),
  })
  .map(fields);

const step: fc.Arbitrary<Step> = fc.record({
  entry: fc.nat(5),
  kind: fc.constantFrom("put", "put", "put", "void", "refused"),
  fields: someFields,
  at: fc.option(fc.nat(1_000_000)),
});

/** Creations, corrections and voids in an order that the rules allow, with refused events between. */
export const histories: fc.Arbitrary<FoldableRecord[]> = fc.array(step, { maxLength: 40 }).map((steps) => {
  const heads = new Map<number, { rev: number; fields: EntryFields; voided: boolean }>();
  return steps.flatMap((one, index) => {
    const head = heads.get(one.entry);
    if (one.kind === "refused")
      return [recordOf(index, one, { result: "refused", type: "entry.created", rev: null, before: null, after: null })];
    if (head?.voided || (one.kind === "void" && head === undefined)) return [];
    const rev = (head?.rev ?? 0) + 1;
    const after = one.kind === "void" ? null : one.fields;
    heads.set(one.entry, { rev, fields: one.fields, voided: one.kind === "void" });
    const type = after === null ? "entry.voided" : rev === 1 ? "entry.created" : "entry.corrected";
    return [recordOf(index, one, { result: "booked", type, rev, before: head?.fields ?? null, after })];
  });
});

type Said = Pick<FoldableRecord["added"], "result" | "rev" | "before" | "after"> & { type: string };

function recordOf(index: number, one: Step, { type, ...said }: Said): FoldableRecord {
  const moved = type === "entry.corrected" && one.at !== null && { at: new Date(NOW - one.at).toISOString() };
  return {
    recv: new Date(NOW + index).toISOString(),
    event: {
      type,
      at: new Date(NOW).toISOString(),
      obj: { kind: "entry", key: uuid(one.entry) },
      payload: type === "entry.voided" ? {} : { fields: one.fields, ...moved },
    },
    added: { code: null, role: "operator", flags: [], ...said },
  };
}
