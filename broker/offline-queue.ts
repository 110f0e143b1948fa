import type { AedesBroker, QueuedSubscription } from "./aedes-internals.ts";
import type { Access } from "./access.ts";

/**
 * Lets the persistence queue for a persistent session only what its user may receive, and each message once: a hidden
 * topic would otherwise be kept for an onlooker who never gets it, and overlapping subscriptions would queue copies.
 */
export function queueOnlyReceivable(
  persistence: AedesBroker["persistence"],
  accessOfName: (name: string) => Access | undefined,
): void {
  const enqueue = persistence.outgoingEnqueueCombi.bind(persistence);
  persistence.outgoingEnqueueCombi = (subscriptions, packet) => {
    const receivers = new Map<string, QueuedSubscription>();
    for (const subscription of subscriptions) {
      const [user] = subscription.clientId.split(":");
      if (user !== undefined && accessOfName(user)?.mayReceive(packet.topic) === true) {
        receivers.set(subscription.clientId, subscription);
      }
    }
    return enqueue([...receivers.values()], packet);
  };
}
