import type { Link } from "../../../lib/messaging/link.ts";
import type { MessageHandler } from "../../../lib/messaging/subscriptions.ts";
import { topicMatches } from "../../../lib/contracts/topics.ts";
import type { After } from "../../../lib/messaging/timing.ts";

export type Published = { topic: string; payload: string; acknowledge(): void; reject(error: Error): void };

/** A link whose broker is the test: it sees what is published, acknowledges it, and delivers what it likes. */
export type FakeLink = Link & {
  published: Published[];
  /** Acknowledges at once what is published from now on. */
  acknowledging: boolean;
  deliver(topic: string, message: unknown): void;
  deliverRaw(topic: string, payload: Buffer): void;
  up(): void;
  down(): void;
  onPublish: (published: Published) => void;
};

export function fakeLink(name: string): FakeLink {
  const handlers: { filters: readonly string[]; handler: MessageHandler }[] = [];
  const ups: ((connection: string) => void)[] = [];
  const downs: (() => void)[] = [];
  let connected = true;
  const link: FakeLink = {
    url: "mqtt://fake",
    name,
    get connected() {
      return connected;
    },
    connection: "c1",
    refusal: null,
    published: [],
    acknowledging: true,
    onPublish: () => {},
    whenConnected: () => Promise.resolve(),
    publish: (topic, payload) =>
      new Promise((resolve, reject) => {
        const published = { topic, payload: String(payload), acknowledge: resolve, reject };
        link.published.push(published);
        if (link.acknowledging) resolve();
        link.onPublish(published);
      }),
    async subscribe(filters, handler) {
      handlers.push({ filters: typeof filters === "string" ? [filters] : filters, handler });
    },
    deliver: (topic, message) => link.deliverRaw(topic, Buffer.from(JSON.stringify(message))),
    deliverRaw(topic, payload) {
      for (const { filters, handler } of handlers) {
        if (filters.some((filter) => topicMatches(filter, topic))) void handler(topic, payload, false);
      }
    },
    onUp(listener) {
      ups.push(listener);
      if (connected) listener("c1");
    },
    onDown: (listener) => void downs.push(listener),
    onFatal: () => {},
    stream: () => null,
    up() {
      connected = true;
      for (const listener of ups) listener("c2");
    },
    down() {
      connected = false;
      for (const listener of downs) listener();
    },
    close: () => Promise.resolve(),
  };
  return link;
}

/** Timers that the test fires: `next` runs the one that is due first. */
export function fakeTimers(): { after: After; next(): number | null; pending(): number[] } {
  const timers = new Set<{ at: number; ms: number; task: () => void }>();
  let now = 0;
  return {
    after(ms, task) {
      const timer = { at: now + ms, ms, task };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    next() {
      const first = [...timers].toSorted((a, b) => a.at - b.at)[0];
      if (!first) return null;
      timers.delete(first);
      now = first.at;
      first.task();
      return first.ms;
    },
    pending: () => [...timers].map((timer) => timer.ms),
  };
}

/** Lets everything that waits for nothing but promises run. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
