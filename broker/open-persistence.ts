import { Store } from "../lib/storage/store/store.ts";
import type { OnAccess } from "./access-events.ts";
import { userOf } from "./connect-persistence.ts";
import type { DropReport, SessionLimits } from "./persistence/limits.ts";
import { openPersistence, type Persistence } from "./persistence/persistence.ts";

/**
 * Opens what the hub keeps of sessions and retained messages on its own store.
 *
 * @param o.onAccess - told, per message and client, what sessions will not get.
 * @returns `close` writes what is left; after the hub is closed.
 * @throws RastroError `store_locked`, `store_unusable` or `store_newer`.
 */
export async function openSessionStore(o: {
  folder: string;
  limits: SessionLimits;
  now: () => number;
  onAccess: OnAccess;
}): Promise<{ persistence: Persistence; store: Store; close: () => Promise<void> }> {
  const store = await Store.openFolder(o.folder);
  const persistence = await openPersistence({ store, limits: o.limits, now: o.now });
  persistence.onDrop((report) => tell(report, o.onAccess));
  return {
    persistence,
    store,
    async close() {
      await persistence.close();
      await store.close();
    },
  };
}

function tell({ client, cause, count }: DropReport, onAccess: OnAccess): void {
  const about = { user: userOf(client), address: "", subject: client };
  if (cause === "session") onAccess({ kind: "queue-ended", code: "expired", ...about });
  else for (let told = 0; told < count; told += 1) onAccess({ kind: "queue-dropped", code: CODES[cause], ...about });
}

const CODES = { messages: "too_slow", bytes: "too_slow", age: "expired" } as const;
