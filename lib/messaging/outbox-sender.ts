import type { Logger } from "pino";
import { toProblem } from "../contracts/errors.ts";
import { ReceiptBatch } from "../contracts/events.ts";
import { parseJson } from "../contracts/parse.ts";
import { type OutboxOwner, topics } from "../contracts/topics.ts";
import type { Link } from "./link.ts";
import type { OutboxEntry, OutboxPort } from "./outbox-port.ts";
import { firstBytes } from "./refused.ts";
import { createSendWindow } from "./send-window.ts";
import { type After, after as systemAfter, createSignal } from "./timing.ts";

export type { OutboxPort } from "./outbox-port.ts";

/** Counters since the start; `lastError` is null while receipts come. */
export type SenderState = {
  lastError: string | null;
  /** Events that were sent and have no receipt yet. */
  inFlight: number;
  batches: number;
  events: number;
  receipts: number;
  /** Times that a range was sent again because the receiver asked for it. */
  resends: number;
  /** Times that no receipt came in time. */
  timeouts: number;
};

export type OutboxSender = {
  /** Begins to send; what waits goes out with the next connection. */
  start(): void;
  /** Sends no more; a batch that is being read or settled is finished first. */
  stop(): Promise<void>;
  state(): SenderState;
};

export type OutboxSenderOptions = {
  link: Link;
  outbox: OutboxPort;
  owner: OutboxOwner;
  log: Logger;
  now: () => number;
  /** Events that may await a receipt. */
  windowEvents?: number;
  batchEvents?: number;
  batchBytes?: number;
  /** Without any receipt for so long, what was sent counts as lost. */
  receiptTimeoutMs?: number;
  /** How long an event may wait for others to go with it, ms; 0 when left out. */
  gatherMs?: number;
  after?: After;
};

/** Batches that may await the broker's acknowledgement: the socket, not the memory, sets the pace. */
const UNACKNOWLEDGED = 4;

/** Batches that may await their receipts: fewer than a receiver lets one sender have waiting. */
const WINDOW_BATCHES = 6;

/** After a time-out so many events are tried at a time, until a receipt comes: a receiver that is away costs little. */
const PROBE_EVENTS = 16;

/** How many times the receipt time-out grows while nothing comes: 5, 10, 15 s. */
const SLOWEST = 3;

/** A broker that refuses a batch without going away is asked again after this. */
const REFUSED_PAUSE_MS = 1000;

/**
 * Sends an outbox to its book: strictly in order, a window of batches ahead of the receipts, from the oldest event
 * without a receipt after each reconnection and whenever none came in time. It asks for nothing but receipts: what the
 * broker acknowledges is still in the outbox. An event may arrive more than once and is counted once by the receiver.
 */
export function createOutboxSender(o: OutboxSenderOptions): OutboxSender {
  const { outbox, link, owner } = o;
  const windowEvents = o.windowEvents ?? 512;
  const batchEvents = o.batchEvents ?? 128;
  const receiptTimeoutMs = o.receiptTimeoutMs ?? 5000;
  const gatherMs = o.gatherMs ?? 0;
  const after = o.after ?? systemAfter;
  const window = createSendWindow();
  const changed = createSignal();
  const counts = { batches: 0, events: 0, receipts: 0, resends: 0, timeouts: 0 };
  let lastError: string | null = null;
  let unacknowledged = 0;
  let silences = 0;
  let resendAsked: number | null = null;
  let endPause: (() => void) | null = null;
  let endGathering: (() => void) | null = null;
  let moreWaits = false;
  let stopped = false;
  let subscribed = false;
  let cancelSilence: (() => void) | null = null;
  let settling: Promise<void> = Promise.resolve();
  let running: Promise<void> | null = null;

  async function run(): Promise<void> {
    for (let goesOn = !stopped; goesOn; goesOn = !stopped) {
      if (!(await sendNext())) await changed.wait();
    }
  }

  /** @returns false when there is nothing to do until something changes. */
  async function sendNext(): Promise<boolean> {
    const room = (silences > 0 ? PROBE_EVENTS : windowEvents) - window.events;
    const full = room <= 0 || window.batches >= WINDOW_BATCHES || unacknowledged >= UNACKNOWLEDGED;
    if (full || !subscribed || !link.connected || endPause) return false;
    if (endGathering && !moreWaits) return false;
    const { generation, cursor } = window;
    const { entries, floor } = await readEntries(cursor, Math.min(room, batchEvents));
    // While the store was read a receiver may have asked for something else, or the connection may have gone.
    if (generation !== window.generation || stopped || !link.connected) return !stopped && link.connected;
    moreWaits = entries.length === Math.min(room, batchEvents);
    if (entries.length === 0) return false;
    window.sent(entries);
    watchForSilence();
    void publish(entries, floor);
    return true;
  }

  /** The floor is read after the entries: reading may raise it past what is lost. */
  async function readEntries(from: number | null, maxEvents: number) {
    try {
      const entries = await outbox.read({ from, maxEvents, maxBytes: o.batchBytes ?? 64 * 1024 });
      return { entries, floor: outbox.floor() };
    } catch (error) {
      fault("the outbox cannot be read", error);
      pause();
      return { entries: [], floor: 0 };
    }
  }

  async function publish(entries: readonly OutboxEntry[], floor: number): Promise<void> {
    const { generation } = window;
    unacknowledged += 1;
    try {
      await link.publish(topics.events(owner, outbox.book), batchText(outbox.epoch, floor, entries), { qos: 1 });
      counts.batches += 1;
      counts.events += entries.length;
    } catch (error) {
      // What became of a connection that is not the present one says nothing about the present one.
      if (generation === window.generation) {
        lastError = toProblem(error).message;
        window.stepBack();
        pause();
      }
    } finally {
      unacknowledged -= 1;
      changed.raise();
    }
  }

  function take(topic: string, payload: Buffer): void {
    if (stopped) return;
    try {
      const batch = parseJson(ReceiptBatch, payload, `the receipts of ${owner.name}`);
      if (batch.epoch !== outbox.epoch) return takeOfOther(batch);
      settling = settling.then(() => settle(batch));
    } catch (error) {
      o.log.warn({ topic, code: toProblem(error).code, payload: firstBytes(payload) }, "receipts that do not parse");
    }
  }

  /** A receiver that asks for another epoch does not know of this one, or knows an older one: it may lack all of it. */
  function takeOfOther(batch: ReceiptBatch): void {
    if (batch.resend !== undefined && window.events === 0 && outbox.newestSettled() !== null) askWithNewest();
  }

  async function settle(batch: ReceiptBatch): Promise<void> {
    try {
      if (batch.receipts.length > 0) await outbox.settle(batch.receipts);
    } catch (error) {
      // Without the receipt on disk the event counts as not delivered and is sent again.
      fault("receipts cannot be kept", error);
      return;
    }
    const awaited = window.received(batch.receipts.map((receipt) => receipt.id));
    counts.receipts += awaited;
    if (awaited > 0) progressed();
    if (batch.resend) resendFrom(batch.resend.from);
    changed.raise();
  }

  function progressed(): void {
    silences = 0;
    resendAsked = null;
    lastError = null;
    cancelSilence?.();
    cancelSilence = null;
    if (window.events > 0) watchForSilence();
  }

  /**
   * Every batch behind a gap makes the receiver ask for the same range. The first asking is honoured; the others say
   * nothing new until a receipt has come, and if what is sent again is lost too, the silence brings it back.
   */
  function resendFrom(from: number): void {
    if (resendAsked === from) return;
    resendAsked = from;
    silences = 0;
    counts.resends += 1;
    o.log.info({ book: outbox.book, from }, "the receiver asks for events again");
    stepBack(Math.max(from, outbox.floor()));
  }

  function stepBack(from?: number): void {
    cancelSilence?.();
    cancelSilence = null;
    window.stepBack(from);
    changed.raise();
  }

  function watchForSilence(): void {
    cancelSilence ??= after(receiptTimeoutMs * Math.min(silences + 1, SLOWEST), () => {
      silences += 1;
      counts.timeouts += 1;
      resendAsked = null;
      lastError = `no receipt of ${outbox.book} came within ${receiptTimeoutMs} ms`;
      stepBack();
    });
  }

  function staged(): void {
    if (gatherMs === 0) changed.raise();
    else
      endGathering ??= after(gatherMs, () => {
        endGathering = null;
        changed.raise();
      });
  }

  function pause(): void {
    if (endPause) return;
    const cancel = after(REFUSED_PAUSE_MS, () => {
      endPause = null;
      changed.raise();
    });
    endPause = () => {
      cancel();
      endPause = null;
    };
  }

  function fault(what: string, error: unknown): void {
    lastError = `${what}: ${toProblem(error).message}`;
    o.log.error({ err: error, book: outbox.book, code: toProblem(error).code }, what);
  }

  async function subscribe(): Promise<void> {
    try {
      await link.subscribe(topics.receipts(owner, outbox.book), take);
      subscribed = true;
      changed.raise();
    } catch (error) {
      if (!stopped) fault("receipts cannot be subscribed, so nothing is sent", error);
    }
  }

  function reconnected(): void {
    endPause?.();
    silences = 0;
    resendAsked = null;
    lastError = null;
    askWithNewest();
  }

  /**
   * With each connection, and again until its receipt comes, the newest event is sent though it has one: a receiver that
   * was restored from a backup lacks it and asks for all that it lacks. Where events wait they do the same.
   */
  function askWithNewest(): void {
    stepBack(outbox.newestSettled() ?? undefined);
  }

  return {
    start() {
      if (running) return;
      outbox.onStaged(staged);
      link.onUp(reconnected);
      link.onDown(() => (lastError = "there is no connection to the broker"));
      askWithNewest();
      void subscribe();
      running = run();
    },
    async stop() {
      stopped = true;
      cancelSilence?.();
      endPause?.();
      endGathering?.();
      changed.raise();
      await running;
      await settling;
    },
    state: () => ({ ...counts, lastError, inFlight: window.events }),
  };
}

/** The JSON of an `EventBatch`: the events are JSON already. */
function batchText(epoch: string, floor: number, entries: readonly OutboxEntry[]): string {
  const head = JSON.stringify({ v: 1, epoch, floor });
  return `${head.slice(0, -1)},"events":[${entries.map((entry) => entry.text).join(",")}]}`;
}
