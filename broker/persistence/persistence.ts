import { Readable } from "node:stream";
import type { AedesPublishPacket } from "aedes";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { createIncoming } from "./incoming.ts";
import { type DropCause, type DropReport, type Rights, SESSION_LIMITS, type SessionLimits } from "./limits.ts";
import { load } from "./load.ts";
import { createMirror } from "./mirror.ts";
import { createOutgoing, type NewMessage, type Numbered } from "./outgoing.ts";
import type { Entry } from "./queue.ts";
import { createRetainedMessages } from "./retained.ts";
import { createSessions, type Subscription } from "./sessions.ts";
import { createWills, type Will } from "./wills.ts";

/** How late retained QoS 0 messages, wills and acknowledgements may reach the disk. */
const FLUSH_MS = 1000;
/** How often what is too old is looked for. */
const EXPIRE_MS = 60_000;

type StoredClient = { id: string };

/** A message whose writing has begun. */
export type Kept = {
  /** On disk. Rejects when it is not, and then nothing of it is left. */
  readonly stored: Promise<void>;
  /** It is being published now: what was kept of it may be read and sent. Once, after `stored`. */
  publish(): void;
};

/** Counts since the start. */
export type PersistenceCounters = {
  /** Messages that sessions were owed and did not get, by why. */
  dropped: Record<DropCause, number>;
};

/**
 * What the hub keeps beyond a connection: retained messages, persistent sessions with their subscriptions and queues,
 * and wills. Everything is in memory and answered at once; the store follows. The methods with Aedes's names are its
 * persistence interface (aedes-persistence 11).
 */
export type Persistence = ReturnType<typeof assemble>;

/**
 * Reads everything in, so that the hub starts with what it had.
 *
 * @param o.store - stays the caller's: closed after {@link Persistence.close}.
 * @throws RastroError `store_unusable` when it cannot be read or written.
 */
export async function openPersistence(o: {
  store: Store;
  limits?: Partial<SessionLimits>;
  now?: () => number;
}): Promise<Persistence> {
  const now = o.now ?? Date.now;
  const limits = { ...SESSION_LIMITS, ...o.limits };
  const persistence = assemble({ store: o.store, limits, now });
  await persistence.read();
  return persistence;
}

function assemble(o: { store: Store; limits: SessionLimits; now: () => number }) {
  const { now } = o;
  let rightsOf: (client: string) => Rights | undefined = () => EVERYTHING;
  let dropTold: (report: DropReport) => void = () => undefined;
  let faultTold: (fault: Error | null) => void = () => undefined;
  let beforeFlush: () => void = () => undefined;
  let readyTold: (client: string) => void = () => undefined;
  let destroyed = false;
  let broker: { id: string } | undefined;

  const counters: PersistenceCounters = { dropped: { messages: 0, bytes: 0, age: 0, session: 0 } };
  const mirror = createMirror({ store: o.store, onFault: (fault) => faultTold(fault) });
  const retained = createRetainedMessages({ mirror, now });
  const incoming = createIncoming({ mirror });
  const wills = createWills({ mirror });
  const sessions = createSessions({
    mirror,
    limits: o.limits,
    now,
    onDrop: (report) => {
      counters.dropped[report.cause] += report.count;
      dropTold(report);
    },
    onEnd: (client) => incoming.clean(client),
  });

  const outgoing = createOutgoing({ sessions, mirror, now });

  const flush = () => {
    beforeFlush();
    retained.flush();
    if (mirror.dirty) mirror.sync().catch(() => undefined);
  };

  const flushing = setInterval(flush, FLUSH_MS).unref();
  const expiring = setInterval(() => sessions.expire(), EXPIRE_MS).unref();

  const stop = async () => {
    clearInterval(flushing);
    clearInterval(expiring);
    beforeFlush();
    retained.flush();
    await mirror.close();
  };

  return {
    counters,
    /** Topics with a retained message. */
    retained: () => retained.size,
    /** Messages that sessions are owed, and their bytes. */
    queued: () => sessions.queued(),
    /** Why nothing can be written at the moment; null when everything can. */
    fault: () => mirror.fault()?.message ?? null,
    /** Called with the reason when the store begins to be at fault, and with null when it works again. One listener: the hub. */
    onFault: (call: (reason: string | null) => void) => {
      faultTold = (fault) => call(fault?.message ?? null);
    },
    onDrop: (call: (report: DropReport) => void) => {
      dropTold = call;
    },
    /** From now on sessions are kept and sent only what they may have. */
    restrict: (call: (client: string) => Rights | undefined) => {
      rightsOf = call;
    },
    /**
     * Called before the retained messages are read or written, each second at the least: whoever keeps newer ones
     * elsewhere (the status lane) hands them over with `storeRetained` then.
     */
    beforeFlush: (call: () => void) => {
      beforeFlush = call;
    },
    /** Called when there is something for the client to be sent: {@link queueOf}. */
    onReady: (call: (client: string) => void) => {
      readyTold = call;
    },
    /** What a session is owed; undefined when there is no such session. */
    queueOf: (client: string) => sessions.get(client)?.queue,
    number: outgoing.number,
    /** The session's client is connected: it does not age. */
    came: (client: string) => sessions.came(client),
    left: (client: string) => sessions.left(client),
    /** All sessions. */
    clientIds: () => sessions.ids(),
    /** Ends a session: subscriptions, queue, and QoS 2 messages that were not released. On disk when it resolves. */
    async endSession(client: string) {
      sessions.end(client);
      await mirror.sync();
    },

    /**
     * Begins to write what a published message leaves behind: in the queues of the sessions that are owed it, as the
     * retained message of its topic, and the id of a QoS 2 message, all in one batch. Everything that is kept in one
     * turn shares a synced write.
     *
     * @param client - whose QoS 2 message it is.
     * @returns null when nothing has to be written, which is the case of most messages and costs a look into the tree.
     */
    keep(packet: AedesPublishPacket, client: string | null): Kept | null {
      const receivers = sessions.receivers(packet.topic, packet.qos, rightsOf);
      const isIncoming = client !== null && packet.qos === 2 && incoming.has(client, packet.messageId);
      if (receivers === null && !packet.retain && !isIncoming) return null;
      const fault = mirror.fault();
      if (fault !== null) return { stored: Promise.reject(fault), publish: () => undefined };
      // Who subscribed before gets it as a message like any other [MQTT-3.3.1-9].
      const message = { ...outgoing.owed(packet), retain: false, dup: false };
      const entries: [client: string, entry: Entry][] = [];
      for (const [id, qos] of receivers ?? []) entries.push([id, outgoing.add(id, message, qos)]);
      if (packet.retain) retained.stage(packet);
      const written = isIncoming ? incoming.keep(client, packet.messageId, () => mirror.sync()) : mirror.sync();
      const stored = written.catch((error: unknown) => {
        for (const [id, entry] of entries) sessions.get(id)?.queue.remove(entry);
        if (packet.retain) retained.revert(packet.topic);
        throw error;
      });
      return {
        stored,
        publish() {
          if (packet.retain) retained.settle(packet);
          for (const [id, entry] of entries) {
            sessions.get(id)?.queue.ready(entry);
            readyTold(id);
          }
        },
      };
    },

    async read() {
      outgoing.begin(await load({ store: o.store, retained, sessions, incoming, wills, now }));
    },
    /** Writes what has not been written yet. On disk when it resolves. */
    async flush() {
      beforeFlush();
      retained.flush();
      await mirror.sync();
    },
    /** Writes what is left. The store is closed by who opened it. */
    close: stop,

    // From here on Aedes's interface.

    get broker() {
      return broker;
    },
    async setup(given: { id: string }) {
      broker = given;
    },
    /** Kept before it returns, and answered at once: see the README. */
    storeRetained(packet: AedesPublishPacket): PromiseLike<void> {
      retained.put(packet);
      return AT_ONCE;
    },
    createRetainedStream: (filter: string) => read([filter]),
    createRetainedStreamCombi: (filters: string[]) => read(filters),

    /** Resolves when the session is on disk. What its user may not subscribe to is left out. */
    async addSubscriptions(client: StoredClient, given: readonly Subscription[]) {
      const rights = rightsOf(client.id);
      sessions.subscribe(
        client.id,
        given.filter(({ topic }) => rights?.maySubscribe(topic) === true),
      );
      if (mirror.dirty) await mirror.sync();
    },
    async removeSubscriptions(client: StoredClient, topics: readonly string[]) {
      sessions.unsubscribe(client.id, topics);
      if (mirror.dirty) await mirror.sync();
    },
    subscriptionsByClient: async (client: StoredClient) => sessions.subscriptions(client.id),
    countOffline: async () => sessions.count(),
    subscriptionsByTopic: async (topic: string) => sessions.matching(topic),
    /** Also the queue: Aedes calls it when a client asks for a clean session [MQTT-3.1.2-6]. */
    async cleanSubscriptions(client: StoredClient) {
      if (sessions.get(client.id) === undefined) return;
      sessions.end(client.id);
      await mirror.sync();
    },
    async outgoingEnqueue(subscription: { clientId: string }, packet: NewMessage) {
      outgoing.enqueue(subscription.clientId, packet, outgoing.owed(packet));
      await mirror.sync();
    },
    async outgoingEnqueueCombi(subscriptions: readonly { clientId: string }[], packet: NewMessage) {
      if (subscriptions.length === 0) return;
      const message = outgoing.owed(packet);
      for (const { clientId } of subscriptions) outgoing.enqueue(clientId, packet, message);
      await mirror.sync();
    },
    outgoingUpdate: (client: StoredClient, packet: Numbered) => outgoing.update(client.id, packet),
    outgoingClearMessageId: async (client: StoredClient, packet: Numbered) => outgoing.clear(client.id, packet),
    outgoingStream: (client: StoredClient) => outgoing.stream(client.id),
    /** On disk with the publish that follows it ({@link keep}), in one batch: neither is ever there without the other. */
    async incomingStorePacket(client: StoredClient, packet: AedesPublishPacket) {
      incoming.store(client.id, packet);
    },
    incomingGetPacket: async (client: StoredClient, packet: Numbered) => incoming.get(client.id, packet.messageId),
    async incomingDelPacket(client: StoredClient, packet: Numbered) {
      incoming.remove(client.id, packet.messageId);
    },
    async cleanIncoming(client: StoredClient) {
      incoming.clean(client.id);
    },
    async putWill(client: StoredClient, packet: Will) {
      wills.put(client.id, Object.assign(packet, { brokerId: broker?.id, clientId: client.id }));
    },
    getWill: async (client: StoredClient) => wills.get(client.id),
    delWill: async (client: StoredClient) => wills.remove(client.id),
    streamWill: (brokers: Record<string, unknown> = {}) => Readable.from(wills.notOf(brokers)),
    getClientList: (topic: string) => Readable.from(sessions.subscribedTo(topic)),
    async destroy() {
      if (destroyed)
        throw new RastroError({ code: "internal", message: "Closing the persistence failed: it is closed." });
      destroyed = true;
      await stop();
    },
  };

  function read(filters: string[]): Readable {
    beforeFlush();
    return Readable.from(retained.matching(filters));
  }
}

// oxlint-disable-next-line unicorn/no-thenable -- Aedes calls then() itself, and an answer at once keeps the order
const AT_ONCE = { then: (done: () => unknown) => done() } as unknown as PromiseLike<void>;

const EVERYTHING: Rights = { maySubscribe: () => true, mayReceive: () => true };
