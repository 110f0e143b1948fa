import { topics } from "../../lib/contracts/topics.ts";
import type { Access } from "../access.ts";
import type { AedesBroker, AedesClient } from "../aedes-internals.ts";
import type { Outlet } from "../outlet.ts";
import type { Turn } from "../turn.ts";
import { createBatchMemory } from "./batch-memory.ts";
import { readFlowing } from "./read-flowing.ts";
import { type Batched, createReaders, QOS0, type Reader } from "./readers.ts";
import { frameOf, LONGEST_PAYLOAD, mayFollow, newSlot, packetOf, type Slot } from "./slot.ts";
import { createStatusCutter, RETAINED_QOS0 } from "./status-cutter.ts";

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
  const readers = createReaders({ slots, hubCounters: o.hubCounters });
  const late = new Set<Slot>();
  const batch = createBatchMemory();
  const counters: LaneCounters = { frames: 0, batches: 0 };
  /** Of each machine's connection: the batch that has its newest frame, and whether it sent one since the last tidying. */
  const voices = new Map<AedesClient, { batch: number; spoke: boolean }>();
  /** Slots of the frames in the batch, in order, and where each begins; only while somebody reads some slots of many. */
  let order: Batched[] = [];
  let seq = 0;
  /** Since the last tidying. */
  let deliveries = 0;
  let restsBetween = false;

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
    if (mayFollow(slot, o.monotonic())) append(slot);
    else late.add(slot);
  }

  function becomeFresh(slot: Slot): void {
    slot.fresh = true;
    o.turn.collect(() => settleSlot(slot));
  }

  function append(slot: Slot): void {
    if (!batch.fits(slot.length)) flush();
    if (batch.frames === 0) o.turn.collect(flush);
    batch.append(QOS0, slot.frame, 0, slot.length);
    if (readers.partials.size > 0) order.push({ slot, length: slot.length });
  }

  function flush(): void {
    const { frames } = batch;
    if (frames === 0) return;
    const bytes = batch.take();
    counters.batches += 1;
    const ordered = order;
    if (ordered.length > 0) order = [];
    deliveries += readers.send(bytes, frames, ordered, seq);
    if (restsBetween && frames < FEW_FRAMES) o.turn.rest(REST_MS);
  }

  function catchUp(reader: Reader): void {
    flush();
    readers.catchUp(reader, seq);
  }

  function slotOf(topic: string): Slot {
    const known = slots.get(topic);
    if (known !== undefined) return known;
    const slot = newSlot(topic);
    flush();
    slots.set(topic, slot);
    readers.added(slot);
    return slot;
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
    readersBehind: readers.behind,
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
    readerChanged(client, given) {
      if (client.closed) return;
      flush();
      const reader = readers.look(client, given, seq);
      given.outlet.onRoom(() => {
        if (reader.full && reader.behind) catchUp(reader);
      });
    },
    gone(client) {
      voices.delete(client);
      readers.gone(client);
    },
    catchUp(client) {
      const reader = readers.get(client);
      if (reader !== undefined && !reader.full && !client.closed) catchUp(reader);
    },
    newest(topic) {
      const slot = slots.get(topic);
      if (slot === undefined || !slot.fresh) return undefined;
      flush();
      return frameOf(slot, RETAINED_QOS0);
    },
    yieldTo(client, topic) {
      if (client !== null && voices.get(client)?.batch === counters.batches) flush();
      const slot = slots.get(topic);
      if (slot === undefined || !slot.fresh) return;
      flush();
      settleSlot(slot);
      slot.fresh = false;
      readers.replaced();
    },
    settle,
    stop() {
      clearInterval(tidying);
      settle();
    },
  };
}
