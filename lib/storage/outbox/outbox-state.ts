import type { Codec } from "../store/store.ts";

/** What `o<book>/state` holds. All counters are written with what they count. */
export type OutboxState = {
  /** 16 hexadecimal digits, random at the outbox's creation. */
  epoch: string;
  /** The dseq that the next event gets. */
  next: number;
  /** The lowest dseq from which on everything can still be sent; `next` when nothing can. */
  floor: number;
  /** Everything below was pruned. Lower than `floor` only where the store has lost an event. */
  kept: number;
  /** No event below this one waits; `next` when none does. */
  low: number;
  waiting: number;
  sealed: number;
  /** Bytes of all events that are kept, waiting and sealed. */
  bytes: number;
};

export function newOutboxState(epoch: string): OutboxState {
  return { epoch, next: 1, floor: 1, kept: 1, low: 1, waiting: 0, sealed: 0, bytes: 0 };
}

export function encodeState(state: OutboxState): Buffer {
  return Buffer.from(JSON.stringify(state));
}

/** The bytes are our own, written by {@link encodeState}. */
export function decodeState(bytes: Buffer): OutboxState {
  return JSON.parse(bytes.toString()) as OutboxState;
}

/** The state as stages share it; null before there is one. */
export const OUTBOX_STATE: Codec<OutboxState | null> = {
  decode: (bytes) => (bytes === undefined || bytes.length === 0 ? null : decodeState(bytes)),
  encode: (state) => (state === null ? Buffer.alloc(0) : encodeState(state)),
};
