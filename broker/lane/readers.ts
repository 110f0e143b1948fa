import { topicMatches } from "../../lib/contracts/topics.ts";
import type { Access } from "../access.ts";
import type { AedesClient } from "../aedes-internals.ts";
import type { Outlet } from "../outlet.ts";
import { frameOf, type Slot } from "./slot.ts";

/** The first byte of a PUBLISH at QoS 0 that is not retained (MQTT 3.1.1 §3.3.1): what a reader gets. */
export const QOS0 = 0x30;

/** A connection that reads statuses. */
export type Reader = {
  client: AedesClient;
  outlet: Outlet;
  access: Access;
  slots: Set<Slot>;
  /** Reads every slot there is, so that a whole batch is for it. */
  all: boolean;
  /** At full rate; else it is caught up at its own. */
  full: boolean;
  /** Everything up to here was sent to it or replaced. */
  sentSeq: number;
  behind: boolean;
  missed: number;
  frames: Buffer[];
};

/** A frame of a batch: whose it is, and its length there. */
export type Batched = { slot: Slot; length: number };

/** The newest frames of what changed between two counts. */
type Changes = { bytes: Buffer; frames: number; from: number; to: number };

/** Who reads which slots, and what each is sent. The counts of frames (`seq`) are the lane's. */
export interface Readers {
  /** Readers at full rate of some slots; while there are any, a batch has to say whose its frames are. */
  readonly partials: ReadonlySet<Reader>;
  /** Readers whose sockets ask for drain, now. */
  behind(): number;
  get(client: AedesClient): Reader | undefined;
  /** Looks at what a connection reads, which may have changed. */
  look(client: AedesClient, reader: { outlet: Outlet; access: Access; full: boolean }, seq: number): Reader;
  gone(client: AedesClient): void;
  /** A slot that was added to the others. */
  added(slot: Slot): void;
  /** Sends a batch to all at full rate. `order` is whose its frames are. @returns how many frames went out. */
  send(bytes: Buffer, frames: number, order: readonly Batched[], seq: number): number;
  /** Sends the newest of what changed since, unless the connection has no room for it. */
  catchUp(reader: Reader, seq: number): void;
  /** What is retained of a slot came another way. */
  replaced(): void;
}

/** @param o.hubCounters - `skipped` counts what a reader that was behind did not get. */
export function createReaders(o: { slots: ReadonlyMap<string, Slot>; hubCounters: { skipped: number } }): Readers {
  const { slots } = o;
  const readers = new Map<AedesClient, Reader>();
  /** Readers at full rate of every slot, and of some. */
  const wholes = new Set<Reader>();
  const partials = new Set<Reader>();
  let changes: Changes | null = null;

  function reads({ client, access }: Reader, slot: Slot): boolean {
    const filters = Object.keys(client.subscriptions);
    return filters.some((filter) => topicMatches(filter, slot.topic)) && access.mayReceive(slot.topic);
  }

  /** Puts a reader where its batches come from: the whole batch, or single slots of it. */
  function place(reader: Reader): void {
    unplace(reader);
    reader.all = reader.slots.size === slots.size;
    if (!reader.full || reader.slots.size === 0) return;
    if (reader.all) {
      wholes.add(reader);
      return;
    }
    partials.add(reader);
    for (const slot of reader.slots) slot.partial.add(reader);
  }

  function unplace(reader: Reader): void {
    wholes.delete(reader);
    if (partials.delete(reader)) for (const slot of reader.slots) slot.partial.delete(reader);
  }

  /** @returns how many frames went out. */
  function give(reader: Reader, bytes: Buffer, frames: number, seq: number): number {
    if (!reader.behind && reader.outlet.sendBatch(bytes, frames)) {
      reader.sentSeq = seq;
      return frames;
    }
    reader.behind = true;
    reader.missed += frames;
    return 0;
  }

  function sendPartial(bytes: Buffer, order: readonly Batched[], seq: number): number {
    const touched = new Set<Reader>();
    let at = 0;
    for (const { slot, length } of order) {
      for (const reader of slot.partial) {
        reader.frames.push(bytes.subarray(at, at + length));
        touched.add(reader);
      }
      at += length;
    }
    let sent = 0;
    for (const reader of touched) {
      const { frames } = reader;
      reader.frames = [];
      const own = frames.length === 1 && frames[0] !== undefined ? frames[0] : Buffer.concat(frames);
      sent += give(reader, own, frames.length, seq);
    }
    return sent;
  }

  /** Those who read everything at the same rate get the same bytes. */
  function changesFor(reader: Reader, seq: number): Changes {
    if (!reader.all) return collectChanges(reader.slots, reader.sentSeq, seq);
    if (changes?.from !== reader.sentSeq || changes.to !== seq)
      changes = collectChanges(slots.values(), reader.sentSeq, seq);
    return changes;
  }

  return {
    partials,
    behind: () => [...readers.values()].filter(({ behind }) => behind).length,
    get: (client) => readers.get(client),
    look(client, { outlet, access, full }, seq) {
      const reader = readers.get(client) ?? newReader(client, outlet, access, full, seq);
      readers.set(client, reader);
      unplace(reader);
      reader.access = access;
      reader.full = full;
      reader.slots = new Set([...slots.values()].filter((slot) => reads(reader, slot)));
      place(reader);
      return reader;
    },
    gone(client) {
      const reader = readers.get(client);
      if (reader === undefined) return;
      readers.delete(client);
      unplace(reader);
    },
    added(slot) {
      for (const reader of readers.values()) {
        const read = reads(reader, slot);
        if (read) reader.slots.add(slot);
        if (read || reader.all) place(reader);
      }
    },
    send(bytes, frames, order, seq) {
      let sent = 0;
      for (const reader of wholes) sent += give(reader, bytes, frames, seq);
      return order.length > 0 ? sent + sendPartial(bytes, order, seq) : sent;
    },
    catchUp(reader, seq) {
      if (reader.sentSeq === seq) return;
      const { bytes, frames } = changesFor(reader, seq);
      if (frames > 0 && !reader.outlet.sendBatch(bytes, frames)) return;
      o.hubCounters.skipped += Math.max(0, reader.missed - frames);
      reader.missed = 0;
      reader.behind = false;
      reader.sentSeq = seq;
    },
    replaced() {
      changes = null;
    },
  };
}

function collectChanges(of: Iterable<Slot>, from: number, to: number): Changes {
  const frames: Buffer[] = [];
  for (const slot of of) if (slot.seq > from && slot.fresh) frames.push(frameOf(slot, QOS0));
  return { bytes: Buffer.concat(frames), frames: frames.length, from, to };
}

function newReader(client: AedesClient, outlet: Outlet, access: Access, full: boolean, sentSeq: number): Reader {
  const state = { all: false, behind: false, missed: 0, frames: [] };
  return { client, outlet, access, slots: new Set(), full, sentSeq, ...state };
}
