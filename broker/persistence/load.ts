import type { AedesPublishPacket } from "aedes";
import { RastroError } from "../../lib/contracts/errors.ts";
import { readU64, u64 } from "../../lib/storage/keys.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import type { Incoming } from "./incoming.ts";
import { BOOT_KEY, clientIn, nameIn, placeIn, rangeOf, RECEIVED } from "./keys.ts";
import type { Owed } from "./queue.ts";
import type { RetainedMessages } from "./retained.ts";
import type { SessionRow, Sessions } from "./sessions.ts";
import { decodeMessage, type StoredMessage } from "./stored-message.ts";
import type { Wills } from "./wills.ts";

/**
 * Reads the store into memory, and writes the number of this start.
 *
 * @returns that number: greater than that of every start before.
 */
export async function load(o: {
  store: Store;
  retained: RetainedMessages;
  sessions: Sessions;
  incoming: Incoming;
  wills: Wills;
  now: () => number;
}): Promise<number> {
  const { store } = o;
  const before = await store.get(BOOT_KEY);
  const boot = before === undefined ? 1 : readU64(before) + 1;
  await store.write((tx) => tx.put(BOOT_KEY, u64(boot)));
  for await (const [key, value] of store.range(rangeOf("a"))) {
    o.retained.restore(packetOf(decoded(value, nameIn(key))));
  }
  for await (const [key, value] of store.range(rangeOf("c"))) {
    o.sessions.restore(nameIn(key), JSON.parse(value.toString()) as SessionRow);
  }
  await loadQueues(o);
  for await (const [key] of store.range(rangeOf("i"))) {
    const { client, rest } = clientIn(key);
    o.incoming.restore(client, rest.readUInt16BE());
  }
  for await (const [key, value] of store.range(rangeOf("w"))) o.wills.restore(nameIn(key), value);
  return boot;
}

/** A released QoS 2 message has no message any more, only its id: both ranges together are the queue, by place. */
async function loadQueues({ store, sessions }: { store: Store; sessions: Sessions }): Promise<void> {
  type Row = { rest: Buffer; client: string; message: StoredMessage | null; flight: Buffer | null };
  const rows = new Map<string, Row>();
  for await (const [key, value] of store.range(rangeOf("g"))) {
    const of = clientIn(key);
    rows.set(key.toString("latin1", 1), { ...of, message: decoded(value, of.client), flight: null });
  }
  for await (const [key, flight] of store.range(rangeOf("f"))) {
    const id = key.toString("latin1", 1);
    rows.set(id, { ...clientIn(key), message: rows.get(id)?.message ?? null, flight });
  }
  const inOrder = [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [, { rest, client, message, flight }] of inOrder) {
    const isReleased = flight?.[2] === RECEIVED;
    if (message === null && !isReleased) continue;
    sessions.of(client).queue.restore({
      place: placeIn(rest),
      message: owedOf(message ?? NOTHING, rest),
      qos: message?.qos === 1 ? 1 : 2,
      messageId: flight?.readUInt16BE(),
      state: isReleased ? "released" : "owed",
    });
  }
}

function owedOf({ topic, payload, retain, at }: StoredMessage, rest: Buffer): Owed {
  return { topic, payload, retain, dup: false, ...named(rest), at, encoded: [] };
}

const NOTHING: StoredMessage = { topic: "", payload: Buffer.alloc(0), qos: 2, retain: false, at: 0 };

/** The broker of that start is gone; a name of its own keeps its messages apart from those of this one. */
function named(rest: Buffer): { brokerId: string; brokerCounter: number } {
  const { boot, count } = placeIn(rest);
  return { brokerId: `start ${boot}`, brokerCounter: count };
}

function packetOf({ topic, payload, qos }: StoredMessage): AedesPublishPacket {
  return { cmd: "publish", brokerId: "", brokerCounter: 0, topic, payload, qos, retain: true, dup: false };
}

function decoded(bytes: Buffer, of: string): StoredMessage {
  const message = decodeMessage(bytes);
  if (message !== null) return message;
  const text = `Reading the stored messages of ${of} failed: the bytes are no message that this version knows. Use the version of Rastro that wrote it, or a newer one.`;
  throw new RastroError({ code: "store_newer", message: text, given: of });
}
