import { keys } from "./keys.ts";
import { createLevelTree } from "./level-tree.ts";
import type { DropCause, DropReport, Rights, SessionLimits } from "./limits.ts";
import type { Mirror } from "./mirror.ts";
import { createQueue, type Queue } from "./queue.ts";

/** A subscription as Aedes hands it over: the three options are MQTT 5's, and undefined here. */
export type Subscription = {
  topic: string;
  qos: number;
  rh?: number | undefined;
  rap?: boolean | undefined;
  nl?: boolean | undefined;
  subscriptionIdentifier?: number | undefined;
};

type Matched = Omit<Subscription, "subscriptionIdentifier"> & { clientId: string };

export type Session = {
  readonly id: string;
  readonly subscriptions: Map<string, Subscription>;
  readonly queue: Queue;
  /** Since when its client is away, ms since 1970; null while it is connected. */
  left: number | null;
};

/** A session as it lies on the disk. */
export type SessionRow = { v: 1; subscriptions: Subscription[]; left: number | null };

/** Answers kept of the tree of subscriptions: a machine publishes on a dozen topics. */
const REMEMBERED_TOPICS = 8192;

/** Persistent sessions: what each is subscribed to and what it is owed. */
export interface Sessions {
  get(client: string): Session | undefined;
  /** Begins one if there is none. */
  of(client: string): Session;
  ids(): IterableIterator<string>;
  came(client: string): void;
  left(client: string): void;
  subscribe(client: string, subscriptions: readonly Subscription[]): void;
  unsubscribe(client: string, topics: readonly string[]): void;
  subscriptions(client: string): Subscription[];
  /** The subscriptions at QoS 1 and 2 that match a topic. */
  matching(topic: string): Matched[];
  /** Who is owed a message and at which QoS, each session once; null when nobody is. */
  receivers(topic: string, qos: number, rightsOf: (client: string) => Rights | undefined): Map<string, 1 | 2> | null;
  subscribedTo(topic: string): string[];
  /** Subscriptions at QoS 1 and 2, and sessions that have any. */
  count(): { subsCount: number; clientsCount: number };
  queued(): { messages: number; bytes: number };
  end(client: string): void;
  /** Drops messages that are too old, and ends sessions whose client has been away for too long. */
  expire(): void;
  /** What was on the disk at the start. */
  restore(client: string, row: SessionRow): void;
}

export function createSessions(o: {
  mirror: Mirror;
  limits: SessionLimits;
  now: () => number;
  onDrop: (report: DropReport) => void;
  /** A session ended. */
  onEnd: (client: string) => void;
}): Sessions {
  const { mirror, limits, now } = o;
  const sessions = new Map<string, Session>();
  /** Subscriptions at QoS 1 and 2, by filter and client. */
  const filters = createLevelTree<Map<string, Matched>>();
  let queuedSubscriptions = 0;
  /** What the tree answered for a topic, until a subscription changes. */
  const answers = new Map<string, Map<string, Matched>[]>();

  function matching(topic: string): Map<string, Matched>[] {
    const known = answers.get(topic);
    if (known !== undefined) return known;
    if (answers.size >= REMEMBERED_TOPICS) answers.clear();
    const found = filters.matching(topic);
    answers.set(topic, found);
    return found;
  }

  function of(client: string): Session {
    const known = sessions.get(client);
    if (known !== undefined) return known;
    const onDrop = (cause: DropCause, count: number) => o.onDrop({ client, cause, count });
    const queue = createQueue({ client, mirror, limits, now, onDrop });
    const session: Session = { id: client, subscriptions: new Map(), queue, left: null };
    sessions.set(client, session);
    note(session);
    return session;
  }

  function note(session: Session): void {
    mirror.set(keys.session(session.id), () => {
      if (sessions.get(session.id) !== session) return null;
      const row: SessionRow = { v: 1, subscriptions: [...session.subscriptions.values()], left: session.left };
      return Buffer.from(JSON.stringify(row));
    });
  }

  function addFilter(client: string, { topic, qos, rh, rap, nl }: Subscription): void {
    answers.clear();
    const known = filters.get(topic) ?? new Map<string, Matched>();
    if (!known.has(client)) queuedSubscriptions += 1;
    known.set(client, { clientId: client, topic, qos, rh, rap, nl });
    filters.set(topic, known);
  }

  function removeFilter(client: string, topic: string): void {
    answers.clear();
    const known = filters.get(topic);
    if (known?.delete(client) !== true) return;
    queuedSubscriptions -= 1;
    if (known.size === 0) filters.delete(topic);
  }

  function place(session: Session, subscription: Subscription): void {
    session.subscriptions.set(subscription.topic, { ...subscription });
    if (subscription.qos > 0) addFilter(session.id, subscription);
    else removeFilter(session.id, subscription.topic);
  }

  function end(client: string): void {
    const session = sessions.get(client);
    if (session === undefined) return;
    for (const topic of session.subscriptions.keys()) removeFilter(client, topic);
    for (const entry of session.queue.entries()) session.queue.remove(entry);
    sessions.delete(client);
    note(session);
    o.onEnd(client);
  }

  return {
    get: (client) => sessions.get(client),
    of,
    ids: () => sessions.keys(),
    came(client) {
      const session = sessions.get(client);
      if (session === undefined || session.left === null) return;
      session.left = null;
      note(session);
    },
    left(client) {
      const session = sessions.get(client);
      if (session === undefined) return;
      session.left = now();
      note(session);
    },
    subscribe(client, subscriptions) {
      const session = of(client);
      const changed = subscriptions.filter((given) => !isSame(session.subscriptions.get(given.topic), given));
      if (changed.length === 0) return;
      // In the order given, for one packet may name a filter twice.
      for (const subscription of subscriptions) place(session, subscription);
      note(session);
    },
    unsubscribe(client, topics) {
      const session = sessions.get(client);
      if (session === undefined) return;
      const gone = topics.filter((topic) => session.subscriptions.delete(topic));
      for (const topic of gone) removeFilter(client, topic);
      if (gone.length > 0) note(session);
    },
    subscriptions: (client) => [...(sessions.get(client)?.subscriptions.values() ?? [])].map((one) => ({ ...one })),
    matching: (topic) => matching(topic).flatMap((byClient) => [...byClient.values()]),
    receivers(topic, qos, rightsOf) {
      const found = matching(topic);
      if (found.length === 0) return null;
      const receivers = new Map<string, 1 | 2>();
      for (const byClient of found) {
        for (const [client, granted] of byClient) {
          const before = receivers.get(client) ?? 0;
          const now = Math.min(qos, granted.qos) as 1 | 2;
          if (now > before && rightsOf(client)?.mayReceive(topic) === true) receivers.set(client, now);
        }
      }
      return receivers.size === 0 ? null : receivers;
    },
    subscribedTo: (topic) =>
      [...sessions.values()].filter(({ subscriptions }) => subscriptions.has(topic)).map(({ id }) => id),
    count() {
      let clientsCount = 0;
      for (const { subscriptions } of sessions.values()) if (subscriptions.size > 0) clientsCount += 1;
      return { subsCount: queuedSubscriptions, clientsCount };
    },
    queued() {
      const sum = { messages: 0, bytes: 0 };
      for (const { queue } of sessions.values()) {
        sum.messages += queue.size;
        sum.bytes += queue.bytes;
      }
      return sum;
    },
    end,
    expire() {
      const oldest = now() - limits.expiryMs;
      for (const { id, left, queue } of sessions.values()) {
        if (left !== null && left <= oldest) {
          const count = queue.size;
          end(id);
          o.onDrop({ client: id, cause: "session", count });
        } else {
          queue.expire();
        }
      }
    },
    restore(client, row) {
      const session = of(client);
      for (const subscription of row.subscriptions) place(session, subscription);
      // Of a client that was connected when the hub ended nobody knows how long it has been away.
      session.left = row.left ?? now();
    },
  };
}

function isSame(known: Subscription | undefined, given: Subscription): boolean {
  return (
    known !== undefined &&
    known.qos === given.qos &&
    known.rh === given.rh &&
    known.rap === given.rap &&
    known.nl === given.nl &&
    known.subscriptionIdentifier === given.subscriptionIdentifier
  );
}
