import type { Socket } from "node:net";
import { usageOf } from "../process-usage.ts";
import { type Credentials, openWire, publishFrame, scanPublishes, type Secured, subscribe } from "../wire.ts";
import { HZ, type Load, type LoadFigures, PAYLOAD_BYTES } from "./load.ts";

/* The load generator of our own, a process by itself: told once what to do, answers with what came of it. */

type Order = Load & {
  at: number | Secured;
  pid: number;
  reader: Credentials;
  publishers: readonly Credentials[];
  warmUpS: number;
};

/** After the last write: what is still on its way. */
const DRAIN_MS = 500;
/** What was slept through for longer is not offered late. */
const CAUGHT_UP_MS = 5;

process.once("message", (order: Order) => {
  void measure(order).then((figures) => {
    process.send?.(figures);
    process.disconnect();
  });
});
process.send?.({ ready: true });

async function measure(order: Order): Promise<LoadFigures> {
  const took: number[] = [];
  let since: bigint | null = null;
  const onPublish = (payload: Buffer) => {
    const written = payload.readBigUInt64BE(0);
    // What the warm-up left behind in an overloaded broker is none of the measurement.
    if (since !== null && written >= since) took.push(Number(process.hrtime.bigint() - written) / 1000);
  };
  for (let index = 0; index < order.readers; index += 1) {
    const socket = await openWire(order.at, { ...order.reader, client: `reader-${index}` });
    await subscribe(socket, "machines/+/status", 0);
    const scan = scanPublishes(onPublish);
    socket.on("data", (chunk: Buffer) => work(() => scan(chunk)));
  }
  const writers = await Promise.all(order.publishers.map((publisher) => openWriter(order.at, publisher)));

  await pace(writers, order.warmUpS);
  await quiet();
  since = process.hrtime.bigint();
  const [cpuBefore, workBefore] = [usageOf(order.pid).cpuSeconds, worked.ms];
  const sent = await pace(writers, order.seconds);
  const own = worked.ms - workBefore;
  await quiet();
  const cpu = usageOf(order.pid).cpuSeconds - cpuBefore;

  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.max(0, Math.ceil(took.length * share) - 1)] ?? Number.NaN;
  return {
    offeredPerS: order.machines * HZ,
    arrivedPerS: took.length / Math.max(1, order.readers) / order.seconds,
    cpuUs: (cpu * 1e6) / Math.max(1, sent),
    p50Us: at(0.5),
    p99Us: at(0.99),
    p999Us: at(0.999),
    instrumentPct: own / 10 / order.seconds,
  };
}

const worked = { ms: 0 };

/** Counts the time that something takes as work of the instrument. */
function work(task: () => void): void {
  const began = performance.now();
  task();
  worked.ms += performance.now() - began;
}

type Writer = () => number;

/** Writes one status with the time of now; 0 when the socket has not taken the one before. */
async function openWriter(at: number | Secured, publisher: Credentials): Promise<Writer> {
  const socket: Socket = await openWire(at, publisher);
  socket.resume();
  const topic = `machines/${publisher.user}/status`;
  const template = publishFrame({ topic, bytes: PAYLOAD_BYTES, qos: 0, retain: true });
  return () => {
    if (socket.writableLength > 0) return 0;
    const frame = Buffer.from(template);
    frame.writeBigUInt64BE(process.hrtime.bigint(), frame.length - PAYLOAD_BYTES);
    socket.write(frame);
    return 1;
  };
}

/** Has each writer write at its rate, evenly spread over the millisecond as far as the timers allow. @returns how much was written. */
function pace(writers: readonly Writer[], seconds: number): Promise<number> {
  const everyMs = 1000 / HZ / writers.length;
  const begun = performance.now();
  let due = begun;
  let next = 0;
  let sent = 0;
  return new Promise((resolve) => {
    const tick = () => {
      const now = performance.now();
      due = Math.max(due, now - CAUGHT_UP_MS);
      for (; due <= now; due += everyMs) {
        work(() => (sent += writers[next]?.() ?? 0));
        next = (next + 1) % writers.length;
      }
      if (now - begun < seconds * 1000) setImmediate(tick);
      else resolve(sent);
    };
    tick();
  });
}

function quiet(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, DRAIN_MS));
}
