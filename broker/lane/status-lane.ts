import type { AedesPublishPacket } from "aedes";
import { topics, topicMatches } from "../../lib/contracts/topics.ts";
import type { Access } from "../access.ts";
import type { AedesBroker, AedesClient } from "../aedes-internals.ts";
import type { Outlet } from "../outlet.ts";
import type { Turn } from "../turn.ts";
import { createBatchMemory } from "./batch-memory.ts";
import { readFlowing } from "./read-flowing.ts";
import { createStatusCutter, RETAINED_QOS0 } from "./status-cutter.ts";

/** A longer status goes through Aedes. */
const LONGEST_PAYLOAD = 512;
/** Fixed header, topic and payload of the longest. */
const LONGEST_FRAME = 3 + 2 + 128 + LONGEST_PAYLOAD;
const QOS0 = 0x30;

/** A machine may send so many statuses in so many ms; beyond that only its newest is sent, each {@link TIDY_MS}. */
const WINDOW_MS = 1000;
const PER_WINDOW = 2000;

/**
 * From so many deliveries a second on, the hub rests so long after a turn that had only few frames, as a network card
 * holds its interrupts back: waking up for each frame costs more than the frame. A turn with more has enough to do.
 */
const REST_FROM_HZ = 32_000;
const REST_MS = 0.25;
const FEW_FRAMES = 24;

/** How often keepalives are renewed and what was too fast is caught up. */
const TIDY_MS = 50;

/** So many frames were taken, and left in so many batches. */
export type LaneCounters = { frames: number; batches: number };

/** The status topic of one machine and its newest frame. */
type Slot = {
  topic: string;
  frame: Buffer;
  length: number;
  payload: number;
  /** The newest frame's place in the count of all. */
  seq: number;
  /** False while what is retained came another way. */
  fresh: boolean;
  /** The persistence has not got the newest. */
  dirty: boolean;
  windowEnds: number;
  left: number;
  /** Readers at full rate that do not read every slot. */
  partial: Set<Reader>;
};

type Reader = {
  client: AedesClient;
  outlet: Outlet;
  access: Access;
  slots: Set<Slot>;
  /** Reads every slot there is, so that a whole batch is for it. */
  all: boolean;
  /** At full rate; else {@link StatusLane.catchUp} is called at its rate. */
  full: boolean;
  /** Everything up to here was sent to it or replaced. */
  sentSeq: number;
  behind: boolean;
  missed: number;
  frames: Buffer[];
};

/** The lane of one hub; see the README of this folder. */
export interface StatusLane {
  readonly counters: Readonly<LaneCounters>;
  /** Full-rate readers whose sockets ask for drain, now. */
  readersBehind(): number;
  /** Cuts the statuses out of what a machine sends from now on. Once it is connected. */
  cutFrom(client: AedesClient, machine: string, mayTake: () => boolean): void;
  /** Looks at the subscriptions of a connection, which may have changed. */
  readerChanged(client: AedesClient, reader: { outlet: Outlet; access: Access; full: boolean }): void;
  /** The connection has ended. */
  gone(client: AedesClient): void;
  /** Sends the newest of each topic that changed since, unless the connection is behind. */
  catchUp(client: AedesClient): void;
  /** The newest retained frame of a topic, when the lane has it: everything older was sent to the readers before. */
  newest(topic: string): Buffer | undefined;
  /**
   * A message of this connection comes another way, null for one without: everything older of the connection and of the topic is sent first,
   * and the topic's newest handed to the persistence.
   */
  yieldTo(client: AedesClient | null, topic: string): void;
  /** Hands every newest status to the persistence, which asks for it before each flush and each reading of what is retained. */
  settle(): void;
  stop(): void;
}

export function createStatusLane(o: {
  persistence: Pick<AedesBroker["persistence"], "storeRetained">;
  turn: Turn;
  /** `received` counts what is taken, `skipped` what a reader that was behind did not get. */
  hubCounters: { received: number; skipped: number };
  /** Milliseconds of a clock that never steps. */
  monotonic: () => number;
}): StatusLane {
  const slots = new Map<string, Slot>();
  const readers = new Map<AedesClient, Reader>();
  /** Readers at full rate of every slot, and of some. */
  const wholes = new Set<Reader>();
  const partials = new Set<Reader>();
  const late = new Set<Slot>();
  const batch = createBatchMemory();
  const counters: LaneCounters = { frames: 0, batches: 0 };
  /** Of each machine's connection: the batch that has its newest frame, and whether it sent one since the last tidying. */
  const voices = new Map<AedesClient, { batch: number; spoke: boolean }>();
  /** Slots of the frames in the batch, in order, and where each begins; only while somebody reads some slots of many. */
  let order: { slot: Slot; length: number }[] = [];
  let seq = 0;
  /** Since the last tidying. */
  let deliveries = 0;
  let restsBetween = false;
  let changes: Changes | null = null;

  function take(slot: Slot, chunk: Buffer, start: number, end: number, payload: number): void {
    seq += 1;
    counters.frames += 1;
    o.hubCounters.received += 1;
    slot.frame.set(chunk.subarray(start, end));
    slot.length = end - start;
    slot.payload = payload - start;
    slot.seq = seq;
    slot.dirty = true;
    if (!slot.fresh) becomeFresh(slot);
    if (mayFollow(slot)) append(slot);
    else late.add(slot);
  }

  function becomeFresh(slot: Slot): void {
    slot.fresh = true;
    o.turn.collect(() => settleSlot(slot));
  }

  function mayFollow(slot: Slot): boolean {
    const now = o.monotonic();
    if (now >= slot.windowEnds) {
      slot.windowEnds = now + WINDOW_MS;
      slot.left = PER_WINDOW;
    }
    slot.left -= 1;
    return slot.left >= 0;
  }

  function append(slot: Slot): void {
    if (!batch.fits(slot.length)) flush();
    if (batch.frames === 0) o.turn.collect(flush);
    batch.append(QOS0, slot.frame, 0, slot.length);
    if (partials.size > 0) order.push({ slot, length: slot.length });
  }

  function flush(): void {
    const { frames } = batch;
    if (frames === 0) return;
    const bytes = batch.take();
    counters.batches += 1;
    for (const reader of wholes) give(reader, bytes, frames);
    if (order.length > 0) flushPartial(bytes);
    if (restsBetween && frames < FEW_FRAMES) o.turn.rest(REST_MS);
  }

  function give(reader: Reader, bytes: Buffer, frames: number): void {
    if (!reader.behind && reader.outlet.sendBatch(bytes, frames)) {
      reader.sentSeq = seq;
      deliveries += frames;
      return;
    }
    reader.behind = true;
    reader.missed += frames;
  }

  function flushPartial(bytes: Buffer): void {
    const touched = new Set<Reader>();
    let at = 0;
    for (const { slot, length } of order) {
      for (const reader of slot.partial) {
        reader.frames.push(bytes.subarray(at, at + length));
        touched.add(reader);
      }
      at += length;
    }
    order = [];
    for (const reader of touched) {
      const { frames } = reader;
      reader.frames = [];
      give(reader, frames.length === 1 && frames[0] !== undefined ? frames[0] : Buffer.concat(frames), frames.length);
    }
  }

  function catchUp(reader: Reader): void {
    flush();
    if (reader.sentSeq === seq) return;
    const { bytes, frames } = changesFor(reader);
    if (frames > 0 && !reader.outlet.sendBatch(bytes, frames)) return;
    o.hubCounters.skipped += Math.max(0, reader.missed - frames);
    reader.missed = 0;
    reader.behind = false;
    reader.sentSeq = seq;
  }

  /** Those who read everything at the same rate get the same bytes. */
  function changesFor(reader: Reader): Changes {
    if (!reader.all) return collectChanges(reader.slots, reader.sentSeq);
    if (changes?.from !== reader.sentSeq || changes.to !== seq)
      changes = collectChanges(slots.values(), reader.sentSeq);
    return changes;
  }

  function collectChanges(of: Iterable<Slot>, from: number): Changes {
    const frames: Buffer[] = [];
    for (const slot of of) {
      if (slot.seq <= from || !slot.fresh) continue;
      const frame = Buffer.from(slot.frame.subarray(0, slot.length));
      frame[0] = QOS0;
      frames.push(frame);
    }
    return { bytes: Buffer.concat(frames), frames: frames.length, from, to: seq };
  }

  function slotOf(topic: string): Slot {
    const known = slots.get(topic);
    if (known !== undefined) return known;
    const frame = Buffer.alloc(LONGEST_FRAME);
    const state = { length: 0, payload: 0, seq: 0, fresh: false, dirty: false, windowEnds: 0, left: 0 };
    const slot: Slot = { topic, frame, ...state, partial: new Set() };
    flush();
    slots.set(topic, slot);
    for (const reader of readers.values()) {
      const read = reads(reader, slot);
      if (read) reader.slots.add(slot);
      if (read || reader.all) place(reader);
    }
    return slot;
  }

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

  function settleSlot(slot: Slot): void {
    if (!slot.dirty || !slot.fresh) return;
    slot.dirty = false;
    // The persistence reports its own faults; a promise of it is not waited for (broker/publish-order.ts).
    void o.persistence.storeRetained(packetOf(slot));
  }

  function settle(): void {
    for (const slot of slots.values()) settleSlot(slot);
  }

  function tidy(): void {
    for (const [client, voice] of voices) {
      if (voice.spoke) client._keepaliveTimer?.refresh();
      voice.spoke = false;
    }
    restsBetween = deliveries * (1000 / TIDY_MS) >= REST_FROM_HZ;
    deliveries = 0;
    for (const slot of late) if (slot.fresh) append(slot);
    late.clear();
  }

  const tidying = setInterval(tidy, TIDY_MS);

  return {
    counters,
    readersBehind: () => [...readers.values()].filter(({ behind }) => behind).length,
    cutFrom(client, machine, mayTake) {
      const topic = topics.status(machine);
      const parse = client._parser.parse.bind(client._parser);
      let slot: Slot | undefined;
      const voice = { batch: -1, spoke: false };
      voices.set(client, voice);
      const cutter = createStatusCutter({
        topic,
        longestPayload: LONGEST_PAYLOAD,
        mayTake,
        take(chunk, start, end, payload) {
          slot ??= slotOf(topic);
          take(slot, chunk, start, end, payload);
          voice.batch = counters.batches;
          voice.spoke = true;
        },
        passOn: parse,
        ended: () => client.closed || client.conn.destroyed,
      });
      readFlowing(client, cutter.cut);
    },
    readerChanged(client, { outlet, access, full }) {
      if (client.closed) return;
      flush();
      const reader = readers.get(client) ?? newReader(client, outlet, access, full, seq);
      readers.set(client, reader);
      unplace(reader);
      reader.access = access;
      reader.full = full;
      reader.slots = new Set([...slots.values()].filter((slot) => reads(reader, slot)));
      place(reader);
      outlet.onRoom(() => {
        if (reader.full && reader.behind) catchUp(reader);
      });
    },
    gone(client) {
      voices.delete(client);
      const reader = readers.get(client);
      if (reader === undefined) return;
      readers.delete(client);
      unplace(reader);
    },
    catchUp(client) {
      const reader = readers.get(client);
      if (reader !== undefined && !reader.full && !client.closed) catchUp(reader);
    },
    newest(topic) {
      const slot = slots.get(topic);
      if (slot === undefined || !slot.fresh) return undefined;
      flush();
      const frame = Buffer.from(slot.frame.subarray(0, slot.length));
      frame[0] = RETAINED_QOS0;
      return frame;
    },
    yieldTo(client, topic) {
      if (client !== null && voices.get(client)?.batch === counters.batches) flush();
      const slot = slots.get(topic);
      if (slot === undefined || !slot.fresh) return;
      flush();
      settleSlot(slot);
      slot.fresh = false;
      changes = null;
    },
    settle,
    stop() {
      clearInterval(tidying);
      settle();
    },
  };
}

/** The newest frames of what changed between two counts. */
type Changes = { bytes: Buffer; frames: number; from: number; to: number };

function newReader(client: AedesClient, outlet: Outlet, access: Access, full: boolean, sentSeq: number): Reader {
  const state = { all: false, behind: false, missed: 0, frames: [] };
  return { client, outlet, access, slots: new Set(), full, sentSeq, ...state };
}

function packetOf(slot: Slot): AedesPublishPacket {
  const payload = Buffer.from(slot.frame.subarray(slot.payload, slot.length));
  return {
    cmd: "publish",
    brokerId: "",
    brokerCounter: 0,
    topic: slot.topic,
    payload,
    qos: 0,
    retain: true,
    dup: false,
  };
}
