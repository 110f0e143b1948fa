import type { PublishPacket } from "aedes";
import type { Access } from "./access.ts";
import type { AedesBroker } from "./aedes-internals.ts";

type Persistence = AedesBroker["persistence"];

/** What the persistence keeps for clients that are away: persistent sessions, by the name that they belong to. */
export interface StoredSessions {
  /**
   * Drops what a name may not have any more: the subscriptions that its rights do not cover, and for a name without any
   * rights all subscriptions and everything that is queued.
   */
  refresh(name: string, access: Access | undefined): Promise<void>;
}

/**
 * Keeps in mind which client ids have something stored: no persistence can be asked by name, but one that had sessions
 * before may name all of them (`clientIds`).
 */
export function watchStoredSessions(persistence: Persistence): StoredSessions {
  const clients = new Map<string, Set<string>>();
  const note = (id: string) => {
    const name = userOf(id);
    const ids = clients.get(name) ?? new Set();
    clients.set(name, ids.add(id));
  };
  const forget = (id: string) => {
    const ids = clients.get(userOf(id));
    if (ids?.delete(id) === true && ids.size === 0) clients.delete(userOf(id));
  };
  for (const id of persistence.clientIds?.() ?? []) note(id);

  const add = persistence.addSubscriptions.bind(persistence);
  persistence.addSubscriptions = (client, subscriptions) => {
    note(client.id);
    return add(client, subscriptions);
  };
  const clean = persistence.cleanSubscriptions.bind(persistence);
  persistence.cleanSubscriptions = (client) => {
    forget(client.id);
    return clean(client);
  };

  async function drop(id: string): Promise<void> {
    await clean({ id });
    await emptyQueue(persistence, id);
    await persistence.cleanIncoming?.({ id });
    forget(id);
  }
  async function narrow(id: string, access: Access): Promise<void> {
    const stored = await persistence.subscriptionsByClient({ id });
    const refused = stored.map(({ topic }) => topic).filter((topic) => !access.maySubscribe(topic));
    if (refused.length > 0) await persistence.removeSubscriptions({ id }, refused);
  }
  return {
    async refresh(name, access) {
      for (const id of clients.get(name) ?? []) await (access === undefined ? drop(id) : narrow(id, access));
    },
  };
}

/** A queued message can be taken out by its message id alone, and has none until somebody is there to send it to. */
async function emptyQueue(persistence: Persistence, id: string): Promise<void> {
  const queued: PublishPacket[] = [];
  for await (const packet of persistence.outgoingStream({ id })) queued.push(packet);
  for (const packet of queued.filter(({ messageId }) => messageId !== undefined)) {
    await persistence.outgoingClearMessageId({ id }, packet);
  }
  for (const packet of queued.filter(({ messageId }) => messageId === undefined)) {
    const numbered = { ...packet, messageId: 1 };
    await persistence.outgoingUpdate({ id }, numbered);
    await persistence.outgoingClearMessageId({ id }, numbered);
  }
}

/** The hub puts the name before the client id (connect.ts). */
function userOf(id: string): string {
  return id.slice(0, id.indexOf(":"));
}
