import type { Access } from "./access.ts";
import { userOf } from "./connect-persistence.ts";
import type { Persistence } from "./persistence/persistence.ts";

/** What is kept for clients that are away, by the name that they belong to. */
export interface StoredSessions {
  /**
   * Drops what a name may not have any more: the subscriptions that its rights do not cover, and for a name without any
   * rights its sessions with everything that is queued. A queued message that is not covered is dropped when its turn
   * comes.
   */
  refresh(name: string, access: Access | undefined): Promise<void>;
}

export function storedSessions(
  persistence: Pick<Persistence, "clientIds" | "endSession" | "subscriptionsByClient" | "removeSubscriptions">,
): StoredSessions {
  async function narrow(id: string, access: Access): Promise<void> {
    const stored = await persistence.subscriptionsByClient({ id });
    const refused = stored.map(({ topic }) => topic).filter((topic) => !access.maySubscribe(topic));
    if (refused.length > 0) await persistence.removeSubscriptions({ id }, refused);
  }
  return {
    async refresh(name, access) {
      const ids = [...persistence.clientIds()].filter((id) => userOf(id) === name);
      for (const id of ids) await (access === undefined ? persistence.endSession(id) : narrow(id, access));
    },
  };
}
