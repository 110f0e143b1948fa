import type { AedesPublishPacket } from "aedes";
import { topicMatches } from "../lib/contracts/topics.ts";
import type { AedesClient } from "./aedes-internals.ts";
import { type Framed, publishFrame } from "./frame.ts";
import { createHeldValues } from "./held-values.ts";
import type { Turn } from "./turn.ts";

/** What a connection that does not keep up may cost the hub. */
export type OutletLimits = {
  /** QoS 0 collected in one turn of the event loop before only the newest of each topic is kept; bytes. */
  turnBytes: number;
  /** The newest QoS 0 messages that are kept for it. */
  heldTopics: number;
  heldBytes: number;
  /** What waits for it in order, QoS 1 and 2; beyond it the connection is closed. */
  queuedMessages: number;
  queuedBytes: number;
};

export const OUTLET_LIMITS: OutletLimits = {
  turnBytes: 8 * 1024 * 1024,
  heldTopics: 10_000,
  heldBytes: 4 * 1024 * 1024,
  queuedMessages: 20_000,
  queuedBytes: 8 * 1024 * 1024,
};

/** MQTT 3.1.1 §3.3.1.1. */
const DUP = 0x08;

/** Retained messages that are read from the store before what was read is written. */
const READ_AHEAD_BYTES = 256 * 1024;

/** `skipped` was replaced by a newer message of its topic before it was sent, `dropped` had no place to wait. */
export type OutletCounters = { sent: number; skipped: number; dropped: number };

/** Bytes are null as long as the store notes the message id. A batch has more messages than one. */
type Queued = { bytes: Buffer | null; messages: number };

/**
 * What the hub sends to one connection. Never waits and never makes anybody wait: `done` of a live message is called
 * before it returns, so that a connection that stalls holds none of the broker's places for deliveries.
 *
 * Collected over a turn of the event loop and written at once. While the connection is behind (its socket asks for
 * drain), QoS 0 is kept as the newest message per topic, QoS 1 and 2 wait in order, up to a bound.
 */
export interface Outlet {
  /** A message at QoS 0. */
  send0(packet: AedesPublishPacket, done: () => void): void;
  /** A message at the lower of its QoS and the subscription's. */
  sendQoS(packet: AedesPublishPacket, done: () => void): void;
  /**
   * A message out of the queue of a persistent session.
   *
   * @param again - it was sent before on another connection.
   * @param noted - what has to be on disk before it is sent.
   */
  sendStored(message: Framed, again: boolean, noted: Promise<void> | null): void;
  /** A packet that is no message, after everything before it. */
  sendControl(bytes: Buffer): void;
  /**
   * Frames of `messages` QoS 0 messages, which others may be sent too: left as they are.
   *
   * @returns false when the connection is behind: nothing of them is kept, and `onRoom` tells when there is room.
   */
  sendBatch(bytes: Buffer, messages: number): boolean;
  /** Called, with nothing left to send, once a connection that was behind has room again. */
  onRoom(call: () => void): void;
  /** Sends what was thinned since the last call: at a connection's view rate. */
  releaseThinned(): void;
}

export function createOutlet(o: {
  client: AedesClient;
  frameOf: (packet: AedesPublishPacket) => Buffer;
  turn: Turn;
  /** Whether only the newest of a topic is sent, each time {@link Outlet.releaseThinned} is called. */
  thins?: (topic: string) => boolean;
  /** What is retained on a topic now, when that is newer than what was read from the store. */
  newest?: (topic: string) => Buffer | undefined;
  /** Whether a message id belongs to a stored message that the client has not acknowledged. */
  isTaken?: (messageId: number) => boolean;
  counters: OutletCounters;
  limits: OutletLimits;
  /** More than `limits` waits: called once, and must end the connection. */
  onOverflow: () => void;
}): Outlet {
  const { client, counters, limits } = o;
  const { conn } = client;
  const held = createHeldValues({ topics: limits.heldTopics, bytes: limits.heldBytes });
  const thinned = createHeldValues({ topics: limits.heldTopics, bytes: limits.heldBytes });
  let queue: Queued[] = [];
  let queuedBytes = 0;
  let planned = false;
  let awaitsDrain = false;
  let overflowed = false;
  /** Somebody was refused a batch, and waits to hear of room. */
  let wanted = false;
  let onRoom: (() => void) | undefined;
  /** Readings of retained messages, which may wait: nobody else does because of them. */
  let paused: (() => void)[] = [];

  const isBehind = (bytes: number) => conn.writableNeedDrain || queuedBytes > bytes || held.size > 0;

  function send0(packet: AedesPublishPacket, done: () => void): void {
    if (client.closed) return done();
    if (!packet.brokerId) {
      // Read from the store for a subscription: what is held is newer.
      const newest = o.newest?.(packet.topic);
      if (!held.has(packet.topic) && !thinned.has(packet.topic)) push(one(newest ?? o.frameOf(packet)));
      return goOnReading(done);
    }
    const frame = o.frameOf(packet);
    if (o.thins?.(packet.topic) === true) {
      if (thinned.keep(packet.topic, frame) === "full") counters.dropped += 1;
      return done();
    }
    if (!isBehind(limits.turnBytes)) {
      push(one(frame));
      return done();
    }
    plan();
    const kept = held.keep(packet.topic, frame);
    if (kept === "replaced") counters.skipped += 1;
    if (kept === "full") counters.dropped += 1;
    done();
  }

  function sendBatch(bytes: Buffer, messages: number): boolean {
    if (client.closed || overflowed) return true;
    if (isBehind(limits.turnBytes)) {
      wanted = true;
      plan();
      return false;
    }
    push({ bytes, messages });
    return true;
  }

  function releaseThinned(): void {
    if (thinned.size === 0 || client.closed || isBehind(limits.turnBytes)) return;
    for (const frame of thinned.takeAll()) push(one(frame));
  }

  function sendQoS(packet: AedesPublishPacket, done: () => void): void {
    const qos = Math.min(packet.qos, grantedQoS(client, packet.topic)) as Framed["qos"];
    if (qos === 0) return send0(packet, done);
    if (client.closed || overflowed) return done();
    // A persistent session gets it out of its queue (queue-delivery.ts).
    if (!client.clean && packet.brokerId) return done();
    pushOlder(packet.topic);
    push(one(publishFrame(Object.assign(packet, { qos, messageId: nextMessageId(client, o.isTaken) }))));
    if (packet.brokerId) done();
    else goOnReading(done);
  }

  function goOnReading(done: () => void): void {
    if (!isBehind(READ_AHEAD_BYTES)) return done();
    plan();
    paused.push(done);
  }

  function sendStored(message: Framed, again: boolean, noted: Promise<void> | null): void {
    if (client.closed || overflowed) return;
    pushOlder(message.topic);
    const frame = publishFrame(message);
    if (again) frame[0] = (frame[0] ?? 0) | DUP;
    if (noted === null) return push(one(frame));
    const place: Queued = { bytes: null, messages: 1 };
    push(place);
    noted.then(
      () => {
        place.bytes = frame;
        queuedBytes += frame.length;
        plan();
      },
      (error: unknown) => client.emit("error", error),
    );
  }

  function sendControl(bytes: Buffer): void {
    if (!client.closed && !overflowed) push({ bytes, messages: 0 });
  }

  /** What is held of a topic is older than what comes now. */
  function pushOlder(topic: string): void {
    const older = held.take(topic) ?? thinned.take(topic);
    if (older !== undefined) push(one(older));
  }

  function push(entry: Queued): void {
    queue.push(entry);
    queuedBytes += entry.bytes?.length ?? 0;
    plan();
    const tooMuch = queuedBytes + conn.writableLength > limits.queuedBytes || queue.length > limits.queuedMessages;
    const stuck = conn.writableNeedDrain || queue[0]?.bytes === null;
    if (!tooMuch || !stuck || overflowed) return;
    overflowed = true;
    o.onOverflow();
  }

  function plan(): void {
    if (conn.writableNeedDrain) {
      if (!awaitsDrain) conn.once("drain", drained);
      awaitsDrain = true;
    } else if (!planned) {
      planned = true;
      o.turn.write(flush);
    }
  }

  function drained(): void {
    awaitsDrain = false;
    if (client.closed) return forget();
    flush();
  }

  function flush(): void {
    planned = false;
    if (client.closed || overflowed) return forget();
    // PUBLISH never comes before CONNACK [MQTT-3.2.0-1]; what a resumed session gets meanwhile waits for it.
    if (!client.connackSent || conn.writableNeedDrain) return plan();
    write(takeReady());
    if (queue.length > 0) return;
    if (!conn.writableNeedDrain && held.size > 0) write(held.takeAll().map(one));
    if (conn.writableNeedDrain) return plan();
    const resumed = paused;
    paused = [];
    for (const done of resumed) done();
    if (!wanted) return;
    wanted = false;
    onRoom?.();
  }

  function takeReady(): Queued[] {
    const waiting = queue.findIndex(({ bytes }) => bytes === null);
    const ready = waiting === -1 ? queue : queue.slice(0, waiting);
    queue = waiting === -1 ? [] : queue.slice(waiting);
    for (const { bytes } of ready) queuedBytes -= bytes?.length ?? 0;
    return ready;
  }

  function write(entries: Queued[]): void {
    const frames: Buffer[] = [];
    for (const { bytes, messages } of entries) {
      if (bytes === null) continue;
      frames.push(bytes);
      counters.sent += messages;
    }
    const [first] = frames;
    if (first === undefined) return;
    conn.write(frames.length === 1 ? first : Buffer.concat(frames));
  }

  function forget(): void {
    queue = [];
    queuedBytes = 0;
    held.takeAll();
    thinned.takeAll();
    const ended = paused;
    paused = [];
    for (const done of ended) done();
  }

  return {
    send0,
    sendQoS,
    sendStored,
    sendControl,
    sendBatch,
    onRoom: (call) => {
      onRoom = call;
    },
    releaseThinned,
  };
}

function one(bytes: Buffer): Queued {
  return { bytes, messages: 1 };
}

/** Makes the frame of a live QoS 0 message once for all its readers: they are asked in one synchronous loop. */
export function createSharedFrames(): (packet: AedesPublishPacket) => Buffer {
  let counter = -1;
  let frame: Buffer = Buffer.alloc(0);
  return (packet) => {
    if (!packet.brokerId) return publishFrame({ ...packet, qos: 0 });
    if (packet.brokerCounter !== counter) {
      counter = packet.brokerCounter;
      frame = publishFrame({ topic: packet.topic, payload: packet.payload, retain: packet.retain, qos: 0 });
    }
    return frame;
  };
}

/** The highest QoS among the subscriptions that match [MQTT-3.8.4-6, MQTT-3.3.5-1]. */
function grantedQoS(client: AedesClient, topic: string): number {
  let granted = 0;
  for (const [filter, { qos }] of Object.entries(client.subscriptions)) {
    if (qos > granted && topicMatches(filter, topic)) granted = qos;
  }
  return granted;
}

/** @param isTaken - ids that the client has not acknowledged yet. */
export function nextMessageId(client: AedesClient, isTaken?: (id: number) => boolean): number {
  let id: number;
  do {
    id = client._nextId;
    client._nextId = id >= 65_535 ? 1 : id + 1;
  } while (isTaken?.(id) === true);
  return id;
}
