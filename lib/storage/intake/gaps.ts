import { keys } from "../keys.ts";
import type { Tx } from "../store/store.ts";

/** The ranges of one outbox that are remembered as missing at most; the oldest gaps are given up beyond it. */
const MOST_RANGES = 1000;

/** Places of an outbox that its sender had lost when they were due; inclusive. */
type Range = [first: number, last: number];

/** `seq` is the record that tells of the gap; `missing` what of it has not arrived since, in order. */
export type Gap = { first: number; last: number; seq: number; missing: Range[] };

/** Remembers a gap, so that what was lost is booked if it arrives after all. */
export function noteGap(tx: Tx, from: string, epoch: string, gap: Omit<Gap, "missing">): void {
  put(tx, from, epoch, [...read(tx, from, epoch), { ...gap, missing: [[gap.first, gap.last]] }]);
}

/** Whether this place is in a gap that is still open. */
export function isMissing(tx: Tx, from: string, epoch: string, dseq: number): boolean {
  const gaps = read(tx, from, epoch);
  const gap = gaps.find(({ missing }) => missing.some((range) => holds(range, dseq)));
  if (gap === undefined) return false;
  // Filling one in the middle makes two ranges of one: who fills every second place must not fill the store.
  return countRanges(gaps) < MOST_RANGES || gap.missing.some(([first, last]) => dseq === first || dseq === last);
}

/** Notes that what belongs at this place has arrived. @returns the gap when that was the last of it, else null. */
export function fillGap(tx: Tx, from: string, epoch: string, dseq: number): Gap | null {
  const gaps = read(tx, from, epoch).map((gap) => ({
    ...gap,
    missing: gap.missing.flatMap((range) => (holds(range, dseq) ? without(range, dseq) : [range])),
  }));
  put(
    tx,
    from,
    epoch,
    gaps.filter(({ missing }) => missing.length > 0),
  );
  return gaps.find(({ missing }) => missing.length === 0) ?? null;
}

function holds([first, last]: Range, dseq: number): boolean {
  return first <= dseq && dseq <= last;
}

function without([first, last]: Range, dseq: number): Range[] {
  const around: Range[] = [
    [first, dseq - 1],
    [dseq + 1, last],
  ];
  return around.filter(([from, to]) => from <= to);
}

function countRanges(gaps: readonly Gap[]): number {
  return gaps.reduce((sum, { missing }) => sum + missing.length, 0);
}

function read(tx: Tx, from: string, epoch: string): Gap[] {
  const stored = tx.get(keys.gaps(from, epoch));
  return stored === undefined ? [] : (JSON.parse(stored.toString("utf8")) as Gap[]);
}

function put(tx: Tx, from: string, epoch: string, gaps: readonly Gap[]): void {
  const kept = [...gaps];
  while (countRanges(kept) > MOST_RANGES) kept.shift();
  if (kept.length === 0) tx.del(keys.gaps(from, epoch));
  else tx.put(keys.gaps(from, epoch), Buffer.from(JSON.stringify(kept)));
}
