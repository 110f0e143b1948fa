import type { Socket } from "node:net";
import { type Credentials, openWire, publishFrame } from "./wire.ts";

/*
 * The sending side of bench:latency, a process of its own: it is told once what to send, and says how much it sent.
 */

/** What to send: every publisher has a connection of its own and writes `hz` times a second for `seconds`. */
export type Offer = {
  port: number;
  publishers: readonly (Credentials & { topic: string })[];
  hz: number;
  qos: 0 | 1;
  /** Bytes of each payload; the first eight are the time of its writing, ns of the monotonic clock. */
  bytes: number;
  seconds: number;
};
/** `skipped`: not sent since the socket had not taken the one before, or the process woke too late. */
export type Sent = { sent: number; skipped: number };

process.once("message", (offer: Offer) => {
  void publish(offer).then((sent) => {
    process.send?.(sent);
    process.disconnect();
  });
});
process.send?.({ ready: true });

async function publish(offer: Offer): Promise<Sent> {
  const lanes = await Promise.all(offer.publishers.map((publisher) => openLane(offer, publisher)));
  const total = await pace(offer.hz, offer.seconds, () => lanes.reduce((sent, write) => sent + write(), 0));
  const wanted = lanes.length * offer.hz * offer.seconds;
  for (const { socket } of lanes) socket.end();
  return { sent: total, skipped: Math.max(0, wanted - total) };
}

type Lane = (() => 0 | 1) & { socket: Socket };

async function openLane({ port, qos, bytes }: Offer, publisher: Offer["publishers"][number]): Promise<Lane> {
  const socket = await openWire(port, publisher);
  socket.resume();
  // Statuses are retained, as agents send them.
  const template = publishFrame({ topic: publisher.topic, bytes, qos, retain: qos === 0 });
  let messageId = 0;
  const write = () => {
    if (socket.writableLength > 0) return 0;
    const frame = Buffer.from(template);
    if (qos === 1) {
      messageId = (messageId % 65_535) + 1;
      frame.writeUInt16BE(messageId, frame.length - bytes - 2);
    }
    frame.writeBigUInt64BE(process.hrtime.bigint(), frame.length - bytes);
    socket.write(frame);
    return 1;
  };
  return Object.assign(write, { socket });
}

/** Late by no more than so many instants, they are caught up; what was slept through for longer is left out. */
const CAUGHT_UP = 3;

/** Calls `act` at the given rate. A timer of Node.js wakes a little late each time, so that some wakings act twice. */
function pace(hz: number, seconds: number, act: () => number): Promise<number> {
  const every = 1000 / hz;
  const begun = performance.now();
  let due = begun;
  let total = 0;
  return new Promise((resolve) => {
    const tick = () => {
      const now = performance.now();
      due = Math.max(due, now - CAUGHT_UP * every);
      for (; due <= now; due += every) total += act();
      if (now - begun >= seconds * 1000) resolve(total);
      else setTimeout(tick, due - now);
    };
    tick();
  });
}
