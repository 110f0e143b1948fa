import { Presence } from "../../../lib/contracts/machine.ts";
import type { BookName } from "../../../lib/contracts/names.ts";
import { parseJson } from "../../../lib/contracts/parse.ts";
import { filters, parseCheckpointTopic, parseMachine } from "../../../lib/contracts/topics.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import type { After } from "../../../lib/messaging/timing.ts";

/** So long after the subscription what was retained is in, ms: MQTT marks no end of it. */
const RETAINED_MS = 150;

/** What the hub tells of machines and logs. */
export interface ToldTopics {
  isOnline(machine: string): boolean;
  /** The last checkpoint that was told of a book; null for none. */
  checkpoint(book: BookName): string | null;
  onOnline(listener: (machine: string) => void): void;
  onCheckpoint(listener: (book: BookName, note: string) => void): void;
}

/** Follows presence and checkpoints. Resolves when what the hub had retained of them is in. */
export async function followToldTopics(o: { link: Link; after: After }): Promise<ToldTopics> {
  const online = new Set<string>();
  const checkpoints = new Map<BookName, string>();
  const listeners = {
    online: [] as ((machine: string) => void)[],
    checkpoint: [] as ((book: BookName, note: string) => void)[],
  };
  await o.link.subscribe([filters.everyPresence, filters.everyCheckpoint], (topic, payload) => {
    const book = parseCheckpointTopic(topic);
    if (book !== null && payload.length > 0) {
      const note = payload.toString("utf8");
      checkpoints.set(book, note);
      listeners.checkpoint.forEach((listener) => listener(book, note));
    }
    const machine = parseMachine(topic)?.machine;
    if (machine === undefined) return;
    if (payload.length > 0 && parseJson(Presence, payload, `the presence of ${machine}`).online) {
      online.add(machine);
      listeners.online.forEach((listener) => listener(machine));
    } else online.delete(machine);
  });
  await new Promise<void>((resolve) => void o.after(RETAINED_MS, resolve));
  return {
    isOnline: (machine) => online.has(machine),
    checkpoint: (book) => checkpoints.get(book) ?? null,
    onOnline: (listener) => void listeners.online.push(listener),
    onCheckpoint: (listener) => void listeners.checkpoint.push(listener),
  };
}
