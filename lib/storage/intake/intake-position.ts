import type { EventBatch } from "../../contracts/events.ts";
import { isMissing } from "./gaps.ts";
import { keys, POSITIONS, readU64, u64 } from "../keys.ts";
import type { Store, Tx } from "../store/store.ts";

/**
 * Where an event stands in its outbox, seen from the book: `next` is the one that was due, `gap` the first that the
 * sender still has where those before it are lost for good, `beyond` comes too early, `missing` was lost and has come
 * after all, `past` had its turn, `unplaced` names no place.
 */
export type Standing = { kind: "next" | "gap" | "beyond" | "missing" | "past" | "unplaced"; last: number };

export function standingOf(
  tx: Tx,
  from: string,
  batch: Pick<EventBatch, "epoch" | "floor">,
  dseq: number | null,
): Standing {
  const stored = tx.get(keys.position(from, batch.epoch));
  const last = stored === undefined ? 0 : readU64(stored);
  const kind = kindOf(dseq, last, batch.floor);
  const wasLost = kind === "past" && isMissing(tx, from, batch.epoch, dseq as number);
  return { kind: wasLost ? "missing" : kind, last };
}

function kindOf(dseq: number | null, last: number, floor: number): Standing["kind"] {
  if (dseq === null) return "unplaced";
  if (dseq <= last) return "past";
  if (dseq === last + 1) return "next";
  return dseq === floor ? "gap" : "beyond";
}

/** Notes that everything up to `dseq` of this outbox is in the book, or known to be lost. */
export function advance(tx: Tx, from: string, epoch: string, dseq: number): void {
  tx.put(keys.position(from, epoch), u64(dseq));
}

/** Every outbox that something came from, with the dseq that is due next. */
export async function* duePositions(
  store: Pick<Store, "range">,
): AsyncGenerator<{ name: string; epoch: string; next: number }> {
  for await (const [key, value] of store.range(POSITIONS)) {
    const [name = "", epoch = ""] = key.toString("latin1", 1).split("/");
    yield { name, epoch, next: readU64(value) + 1 };
  }
}

/**
 * The dseq of each event of a batch, read loosely: an event that fits no schema has a place all the same, and must
 * take it up or those behind it would wait for ever. One that names no place has that of its neighbours, since a batch
 * has no holes. Null where no event of the batch names one.
 */
export function positionsOf(batch: EventBatch): (number | null)[] {
  const named = batch.events.map((raw) => namedPosition(raw, batch.epoch));
  const anchor = named.findIndex((dseq) => dseq !== null);
  if (anchor === -1) return named;
  let before = (named[anchor] as number) - anchor - 1;
  return named.map((dseq) => {
    before = dseq ?? before + 1;
    return before >= 1 ? before : null;
  });
}

function namedPosition(raw: unknown, epoch: string): number | null {
  const outbox = member(member(member(raw, "event"), "src"), "outbox");
  const dseq = member(outbox, "dseq");
  return member(outbox, "epoch") === epoch && Number.isSafeInteger(dseq) && (dseq as number) >= 1
    ? (dseq as number)
    : null;
}

/** A member of what may be anything. */
export function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
