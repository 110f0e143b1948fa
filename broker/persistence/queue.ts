import { keys, type Place, queuedKeys } from "./keys.ts";
import type { DropCause, QueueLimits } from "./limits.ts";
import type { Mirror } from "./mirror.ts";
import { encodeMessage } from "./stored-message.ts";

/** A message that one or more sessions are owed: they share it, and each QoS is encoded once. */
export type Owed = {
  readonly topic: string;
  payload: Buffer | string;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly brokerId: string | undefined;
  readonly brokerCounter: number;
  /** ms since 1970. */
  readonly at: number;
  /** As it lies on the disk, by QoS. */
  readonly encoded: (Buffer | undefined)[];
};

/** A message in a queue. `released`: of a QoS 2 message the client has said that it has it, and only PUBREL is owed. */
export type Entry = {
  readonly place: Place;
  readonly message: Owed;
  readonly qos: 1 | 2;
  messageId: number | undefined;
  state: "owed" | "released";
  /** On disk and published: may be sent. */
  ready: boolean;
  /** Sent on this connection and not acknowledged. */
  flying: boolean;
  gone: boolean;
};

/** How much of what is done with is left standing before it is cleared away. */
const SPARE = 1024;

/** What a persistent session is owed, in the order in which it came. */
export interface Queue {
  readonly size: number;
  readonly bytes: number;
  /** Messages and bytes that were sent on this connection and not acknowledged. */
  readonly inFlight: { messages: number; bytes: number };
  /** Notes a message for the disk. */
  add(message: Owed, qos: 1 | 2, place: Place): Entry;
  /** Puts a message back that was on the disk at the start. In order. */
  restore(entry: Omit<Entry, "gone" | "ready" | "flying">): void;
  /** It is on disk and published. What goes over the limits is dropped, the oldest first. */
  ready(entry: Entry): void;
  remove(entry: Entry): void;
  entries(): IterableIterator<Entry>;
  /** The entry of a message by what the broker calls it. Walks the queue: nothing that happens often asks. */
  find(brokerId: string | undefined, brokerCounter: number): Entry | undefined;
  withId(messageId: number): Entry | undefined;
  number(entry: Entry, messageId: number): void;
  /** Drops what is older than the limit. */
  expire(): void;
  /** A connection begins: everything is to be sent, again where it was sent before [MQTT-4.4.0-1]. */
  rewind(): void;
  /** The next that may be sent, counted as sent; undefined when there is none or the one before is not on disk yet. */
  takeNext(): Entry | undefined;
}

export function createQueue(o: {
  client: string;
  mirror: Mirror;
  limits: QueueLimits;
  now: () => number;
  onDrop: (cause: DropCause, count: number) => void;
}): Queue {
  const { client, mirror, limits } = o;
  const entries = new Set<Entry>();
  const byId = new Map<number, Entry>();
  let unsent: Entry[] = [];
  /** Of `unsent`, how many are taken. */
  let taken = 0;
  let bytes = 0;
  const inFlight = { messages: 0, bytes: 0 };
  const keyOf = queuedKeys(client);

  function insert(entry: Entry): void {
    entries.add(entry);
    if (entry.messageId !== undefined) byId.set(entry.messageId, entry);
    bytes += weight(entry);
    unsent.push(entry);
    // Nobody takes anything while the client is away, and what was dropped must not stay.
    if (unsent.length - taken > 2 * entries.size + SPARE) tidy();
  }

  function tidy(): void {
    unsent = unsent.slice(taken).filter(({ gone }) => !gone);
    taken = 0;
  }

  function remove(entry: Entry): void {
    if (entry.gone) return;
    entry.gone = true;
    entries.delete(entry);
    if (entry.messageId !== undefined && byId.get(entry.messageId) === entry) byId.delete(entry.messageId);
    bytes -= weight(entry);
    land(entry);
    mirror.set(keyOf(entry.place), null);
    if (entry.qos === 2) mirror.set(keys.flight(client, entry.place), null);
  }

  function land(entry: Entry): void {
    if (!entry.flying) return;
    entry.flying = false;
    inFlight.messages -= 1;
    inFlight.bytes -= weight(entry);
  }

  function trim(): void {
    if (entries.size <= limits.messages && bytes <= limits.bytes) return;
    const dropped = { messages: 0, bytes: 0 };
    for (const entry of entries) {
      const cause = entries.size > limits.messages ? "messages" : "bytes";
      if (cause === "bytes" && bytes <= limits.bytes) break;
      // Of a released one nothing is left but two bytes that finish the handshake.
      if (entry.state === "released") continue;
      remove(entry);
      dropped[cause] += 1;
    }
    tell(dropped);
  }

  function tell(dropped: Partial<Record<DropCause, number>>): void {
    for (const [cause, count] of Object.entries(dropped)) if (count > 0) o.onDrop(cause as DropCause, count);
  }

  return {
    get size() {
      return entries.size;
    },
    get bytes() {
      return bytes;
    },
    inFlight,
    add(message, qos, place) {
      const state = { messageId: undefined, state: "owed", ready: false, flying: false, gone: false } as const;
      const entry: Entry = { place, message, qos, ...state };
      insert(entry);
      mirror.set(keyOf(place), encodedAs(message, qos));
      return entry;
    },
    ready(entry) {
      entry.ready = true;
      trim();
    },
    restore: (entry) => insert({ ...entry, ready: true, flying: false, gone: false }),
    remove,
    entries: () => entries.values(),
    find(brokerId, brokerCounter) {
      for (const entry of entries) {
        const { message } = entry;
        if (message.brokerCounter === brokerCounter && message.brokerId === brokerId) return entry;
      }
      return undefined;
    },
    withId: (messageId) => byId.get(messageId),
    number(entry, messageId) {
      if (entry.messageId !== undefined && byId.get(entry.messageId) === entry) byId.delete(entry.messageId);
      entry.messageId = messageId;
      byId.set(messageId, entry);
    },
    expire() {
      const oldest = o.now() - limits.ageMs;
      let age = 0;
      for (const entry of entries) {
        if (entry.state === "released") continue;
        if (entry.message.at > oldest) break;
        remove(entry);
        age += 1;
      }
      tell({ age });
    },
    rewind() {
      unsent = [...entries];
      taken = 0;
      for (const entry of entries) land(entry);
    },
    takeNext() {
      for (;;) {
        const entry = unsent[taken];
        if (entry === undefined || !(entry.ready || entry.gone)) return undefined;
        taken += 1;
        if (taken === unsent.length || taken > SPARE) {
          unsent = unsent.slice(taken);
          taken = 0;
        }
        if (entry.gone) continue;
        entry.flying = true;
        inFlight.messages += 1;
        inFlight.bytes += weight(entry);
        return entry;
      }
    },
  };
}

/** The bytes of a message at a QoS, made once for all sessions that are owed it. */
function encodedAs(message: Owed, qos: 1 | 2): Buffer {
  const known = message.encoded[qos];
  if (known !== undefined) return known;
  const { topic, payload, retain, at } = message;
  const bytes = encodeMessage({ topic, payload, retain, at, qos });
  message.encoded[qos] = bytes;
  // What came from a socket is a part of the whole chunk that it came in.
  if (typeof payload !== "string") message.payload = bytes.subarray(bytes.length - payload.length);
  return bytes;
}

/** What an entry counts for against the limit in bytes. */
function weight({ message }: Entry): number {
  return message.topic.length + message.payload.length;
}
