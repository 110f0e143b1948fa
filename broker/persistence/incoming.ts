import type { AedesPublishPacket } from "aedes";
import { keys } from "./keys.ts";
import type { Mirror } from "./mirror.ts";

/** QoS 2 messages from clients that were published and not released: a repetition of one is not published again. */
export interface Incoming {
  store(client: string, packet: AedesPublishPacket): void;
  has(client: string, messageId: number | undefined): boolean;
  /** Notes it for the disk; `write` writes that and what the message leaves behind. If it fails, the message is forgotten. */
  keep(client: string, messageId: number | undefined, write: () => Promise<void>): Promise<void>;
  /** Waits until it is on disk. @throws when there is none, or it could not be written. */
  get(client: string, messageId: number | undefined): Promise<AedesPublishPacket>;
  /** @throws when there is none. */
  remove(client: string, messageId: number | undefined): void;
  clean(client: string): void;
  /** What was on the disk at the start. */
  restore(client: string, messageId: number): void;
}

type Held = { packet: AedesPublishPacket; stored: Promise<void> };

export function createIncoming(o: { mirror: Mirror }): Incoming {
  const clients = new Map<string, Map<number, Held>>();

  const find = (client: string, messageId: number | undefined) => clients.get(client)?.get(messageId ?? 0);
  const put = (client: string, messageId: number, held: Held) => {
    const ids = clients.get(client) ?? new Map<number, Held>();
    clients.set(client, ids.set(messageId, held));
  };
  const drop = (client: string, messageId: number) => {
    const ids = clients.get(client);
    if (ids?.delete(messageId) !== true) return false;
    if (ids.size === 0) clients.delete(client);
    o.mirror.set(keys.incoming(client, messageId), null);
    return true;
  };
  const missing = () => new Error("no such packet");

  return {
    store(client, { cmd, topic, payload, qos, retain, dup, messageId }) {
      const packet = { cmd, topic, payload, qos, retain, dup, messageId } as AedesPublishPacket;
      put(client, messageId ?? 0, { packet, stored: Promise.resolve() });
    },
    has: (client, messageId) => find(client, messageId) !== undefined,
    keep(client, messageId, write) {
      o.mirror.set(keys.incoming(client, messageId ?? 0), Buffer.alloc(1));
      const stored = write().catch((error: unknown) => {
        drop(client, messageId ?? 0);
        throw error;
      });
      const held = find(client, messageId);
      if (held !== undefined) held.stored = stored;
      return stored;
    },
    async get(client, messageId) {
      const held = find(client, messageId);
      if (held === undefined) throw missing();
      await held.stored;
      return held.packet;
    },
    remove(client, messageId) {
      if (!drop(client, messageId ?? 0)) throw missing();
    },
    clean(client) {
      for (const messageId of clients.get(client)?.keys() ?? []) drop(client, messageId);
    },
    restore(client, messageId) {
      const packet = {
        cmd: "publish",
        topic: "",
        payload: Buffer.alloc(0),
        qos: 2,
        retain: false,
        dup: false,
        messageId,
      };
      put(client, messageId, { packet: packet as AedesPublishPacket, stored: Promise.resolve() });
    },
  };
}
