import { canonicalBytes } from "../../lib/ledger/canonical.ts";
import { cellAt, type Codec, type Tx } from "../../lib/storage/store/store.ts";
import type { EntryFields, Totals } from "../../lib/contracts/production.ts";
import type { EntryState } from "./entry-state.ts";
import { ALL_TOTALS, countKey, lotTotalsKey } from "./view-keys.ts";

/** One side of a change: what is taken away (−1) or added (+1). A correction is both. */
type Term = { state: EntryState; sign: 1 | -1 };
/** The whole plant, or one lot. */
type Scope = { key: Buffer; lot: string | null };

const NOTHING: Totals = {
  good: 0,
  scrap: 0,
  rework: 0,
  review: 0,
  orders: 0,
  machines: 0,
  lots: 0,
  entries: 0,
  voided: 0,
};

/** Shared between the entries of a batch: each of them changes the same few totals. */
const TOTALS: Codec<Totals> = { decode: decodeTotals, encode: canonicalBytes };
const COUNT: Codec<number> = {
  decode: (bytes) => Number(bytes?.toString("latin1") ?? 0),
  encode: (count) => Buffer.from(String(count), "latin1"),
};

/** Takes the old state of an entry out of the totals and the new one in, of its lot or lots and of the whole. */
export function foldTotals(tx: Tx, before: EntryState | null, after: EntryState): void {
  const terms: Term[] = [{ state: after, sign: 1 }];
  if (before !== null) terms.unshift({ state: before, sign: -1 });
  let lots = 0;
  for (const lot of new Set(terms.map((term) => term.state.fields.lot))) {
    const ofLot = terms.filter((term) => term.state.fields.lot === lot);
    lots += foldLot(tx, { key: lotTotalsKey(lot), lot }, ofLot);
  }
  const all = applyTerms(tx, { key: ALL_TOTALS, lot: null }, terms);
  all.lots += lots;
  tx.set(cellAt(ALL_TOTALS, TOTALS), all);
}

export function decodeTotals(bytes: Uint8Array | undefined): Totals {
  return bytes === undefined ? { ...NOTHING } : (JSON.parse(Buffer.from(bytes).toString("utf8")) as Totals);
}

/** The pieces rejected; rows where only the occurrence is known count none. */
export function scrapPieces(fields: EntryFields): number {
  return fields.scrap.reduce((sum, row) => sum + (row.pieces ?? 0), 0);
}

/** Returns by how much the number of lots with a live entry changed. */
function foldLot(tx: Tx, scope: Scope, terms: Term[]): number {
  const totals = applyTerms(tx, scope, terms);
  const had = totals.lots;
  totals.lots = totals.entries > 0 ? 1 : 0;
  tx.set(cellAt(scope.key, TOTALS), totals);
  return totals.lots - had;
}

function applyTerms(tx: Tx, scope: Scope, terms: Term[]): Totals {
  const totals = { ...tx.read(cellAt(scope.key, TOTALS)) };
  for (const { state, sign } of terms) {
    if (state.state === "voided") totals.voided += sign;
    else addLive(totals, state.fields, sign);
  }
  totals.machines += foldCounts(tx, "machine", scope.lot, terms);
  totals.orders += foldCounts(tx, "order", scope.lot, terms);
  return totals;
}

function addLive(totals: Totals, fields: EntryFields, sign: 1 | -1): void {
  totals.good += sign * fields.good;
  totals.scrap += sign * scrapPieces(fields);
  totals.rework += sign * fields.rework;
  totals.review += sign * fields.review;
  totals.entries += sign;
}

/** Keeps how many live entries name each machine or order; returns by how much the number of distinct ones changed. */
function foldCounts(tx: Tx, kind: "machine" | "order", lot: string | null, terms: Term[]): number {
  const deltas = new Map<string, number>();
  for (const { state, sign } of terms) {
    const name = state.fields[kind];
    if (state.state === "live" && name !== null) deltas.set(name, (deltas.get(name) ?? 0) + sign);
  }
  let distinct = 0;
  for (const [name, delta] of deltas) if (delta !== 0) distinct += bump(tx, countKey(kind, lot, name), delta);
  return distinct;
}

function bump(tx: Tx, key: Buffer, delta: number): -1 | 0 | 1 {
  const cell = cellAt(key, COUNT);
  const had = tx.read(cell);
  const has = had + delta;
  if (has === 0) tx.del(key);
  else tx.set(cell, has);
  if (had === 0) return 1;
  return has === 0 ? -1 : 0;
}
