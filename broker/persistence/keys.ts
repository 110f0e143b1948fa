import { readU64, u64, writeU64 } from "../../lib/storage/keys.ts";

/*
 * Every key of the hub's session store. The first byte says what a key is for.
 *
 *   a <topic>                      retained message
 *   b                              number of the last start of the hub, u64
 *   c <client id>                  a persistent session: its subscriptions, and since when its client is away
 *   f <client> <place>             message id and state of a QoS 2 message on its way to the client
 *   g <client> <place>             a message that the client is owed
 *   i <client> <u16 message id>    a QoS 2 message from the client that was published and not released
 *   p                              written while the store is at fault, to see whether it still is
 *   w <client id>                  will
 *
 * <client> is u16 length and client id, so that no id is the beginning of another's range. <place> is u64 start of the
 * hub and u64 count in it: the order of keys is the order in which messages came, whatever the clock said.
 */

export const BOOT_KEY: Buffer = Buffer.from("b");
export const PROBE_KEY: Buffer = Buffer.from("p");

/** Third byte of a QoS 2 message's state, after its u16 id: the client has it, and PUBREL is what it is owed. */
export const RECEIVED = 1;

/** Where a queued message stands among all others. */
export type Place = { boot: number; count: number };

const CLIENT_AT = 3;

export const keys = {
  retained: (topic: string) => Buffer.from(`a${topic}`),
  session: (client: string) => Buffer.from(`c${client}`),
  flight: (client: string, place: Place) => Buffer.concat([ofClient("f", client), placeBytes(place)]),
  queued: (client: string, place: Place) => Buffer.concat([ofClient("g", client), placeBytes(place)]),
  incoming: (client: string, messageId: number) => Buffer.concat([ofClient("i", client), u16(messageId)]),
  will: (client: string) => Buffer.from(`w${client}`),
} as const;

/** As `keys.queued`, for many messages of one client. */
export function queuedKeys(client: string): (place: Place) => Buffer {
  const beginning = ofClient("g", client);
  return ({ boot, count }) => {
    const key = Buffer.allocUnsafe(beginning.length + 16);
    key.set(beginning);
    writeU64(key, boot, beginning.length);
    writeU64(key, count, beginning.length + 8);
    return key;
  };
}

/** All keys of one kind. */
export function rangeOf(kind: "a" | "c" | "f" | "g" | "i" | "w"): { gte: Buffer; lt: Buffer } {
  return { gte: Buffer.from(kind), lt: Buffer.from([kind.charCodeAt(0) + 1]) };
}

/** What follows the kind in the keys `a`, `c` and `w`. */
export function nameIn(key: Buffer): string {
  return key.toString("utf8", 1);
}

/** Client id and what follows it in the keys `f`, `g` and `i`. */
export function clientIn(key: Buffer): { client: string; rest: Buffer } {
  const end = CLIENT_AT + key.readUInt16BE(1);
  return { client: key.toString("utf8", CLIENT_AT, end), rest: key.subarray(end) };
}

export function placeIn(rest: Buffer): Place {
  return { boot: readU64(rest), count: readU64(rest, 8) };
}

function placeBytes({ boot, count }: Place): Buffer {
  return Buffer.concat([u64(boot), u64(count)]);
}

function ofClient(kind: string, client: string): Buffer {
  const id = Buffer.from(client);
  return Buffer.concat([Buffer.from(kind), u16(id.length), id]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
