import type { AedesPublishPacket } from "aedes";
import { topicMatches } from "../lib/contracts/topics.ts";
import type { AedesBroker, AedesClient } from "./aedes-internals.ts";
import { type Framed, publishFrame } from "./frame.ts";
import { createHeldValues } from "./held-values.ts";
import type { PerTick } from "./per-tick.ts";

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

/** Retained messages that are read from the store before what was read is written. */
const READ_AHEAD_BYTES = 256 * 1024;

/** `skipped` was replaced by a newer message of its topic before it was sent, `dropped` had no place to wait. */
export type OutletCounters = { sent: number; skipped: number; dropped: number };

/** Bytes are null as long as the store notes the message id. */
type Queued = { bytes: Buffer | null };

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
}

export function createOutlet(o: {
  client: AedesClient;
  persistence: Pick<AedesBroker["persistence"], "outgoingUpdate">;
  frameOf: (packet: AedesPublishPacket) => Buffer;
  perTick: PerTick;
  counters: OutletCounters;
  limits: OutletLimits;
  /** More than `limits` waits: called once, and must end the connection. */
  onOverflow: () => void;
}): Outlet {
  const { client, counters, limits } = o;
  const { conn } = client;
  const held = createHeldValues({ topics: limits.heldTopics, bytes: limits.heldBytes });
  let queue: Queued[] = [];
  let queuedBytes = 0;
  let planned = false;
  let awaitsDrain = false;
  let overflowed = false;
  /** Readings of retained messages, which may wait: nobody else does because of them. */
  let paused: (() => void)[] = [];

  const isBehind = (bytes: number) => conn.writableNeedDrain || queuedBytes > bytes || held.size > 0;

  function send0(packet: AedesPublishPacket, done: () => void): void {
    if (client.closed) return done();
    const frame = o.frameOf(packet);
    if (!packet.brokerId) {
      // Read from the store for a subscription: what is held is newer.
      if (!held.has(packet.topic)) push({ bytes: frame });
      return goOnReading(done);
    }
    if (!isBehind(limits.turnBytes)) {
      push({ bytes: frame });
      return done();
    }
    plan();
    const kept = held.keep(packet.topic, frame);
    if (kept === "replaced") counters.skipped += 1;
    if (kept === "full") counters.dropped += 1;
    done();
  }

  function sendQoS(packet: AedesPublishPacket, done: () => void): void {
    const qos = Math.min(packet.qos, grantedQoS(client, packet.topic)) as Framed["qos"];
    if (qos === 0) return send0(packet, done);
    if (client.closed || overflowed) return done();
    const older = held.take(packet.topic);
    if (older !== undefined) push({ bytes: older });
    const numbered = Object.assign(packet, { qos, messageId: nextMessageId(client) });
    if (client.clean || packet.retain) push({ bytes: publishFrame(numbered) });
    else pushOnceNoted(numbered);
    if (packet.brokerId) done();
    else goOnReading(done);
  }

  function goOnReading(done: () => void): void {
    if (!isBehind(READ_AHEAD_BYTES)) return done();
    plan();
    paused.push(done);
  }

  /** The queue of a persistent session has to know the message id before the message is sent. */
  function pushOnceNoted(packet: Framed & AedesPublishPacket): void {
    const place: Queued = { bytes: null };
    push(place);
    o.persistence.outgoingUpdate(client, packet).then(
      () => {
        place.bytes = publishFrame(packet);
        queuedBytes += place.bytes.length;
        plan();
      },
      (error: unknown) => client.emit("error", error),
    );
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
      o.perTick(flush);
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
    if (!conn.writableNeedDrain && held.size > 0) write(held.takeAll());
    if (conn.writableNeedDrain) return plan();
    const resumed = paused;
    paused = [];
    for (const done of resumed) done();
  }

  function takeReady(): Buffer[] {
    const waiting = queue.findIndex(({ bytes }) => bytes === null);
    const ready = waiting === -1 ? queue : queue.slice(0, waiting);
    queue = waiting === -1 ? [] : queue.slice(waiting);
    const frames = ready.map(({ bytes }) => bytes).filter((bytes) => bytes !== null);
    for (const frame of frames) queuedBytes -= frame.length;
    return frames;
  }

  function write(frames: Buffer[]): void {
    const [first] = frames;
    if (first === undefined) return;
    counters.sent += frames.length;
    conn.write(frames.length === 1 ? first : Buffer.concat(frames));
  }

  function forget(): void {
    queue = [];
    queuedBytes = 0;
    held.takeAll();
    const ended = paused;
    paused = [];
    for (const done of ended) done();
  }

  return { send0, sendQoS };
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

function nextMessageId(client: AedesClient): number {
  const id = client._nextId;
  client._nextId = id >= 65_535 ? 1 : id + 1;
  return id;
}
