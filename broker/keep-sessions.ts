import type { Logger } from "../lib/runtime/log.ts";
import type { Directory } from "./directory/directory.ts";
import type { Hub } from "./start-hub.ts";

/**
 * Ends expired sessions now and at intervals. A session whose connection is open counts as used: a screen that shows
 * the floor for a whole shift must not be signed out at the first reconnection.
 *
 * @returns stops it.
 */
export function keepSessions(o: {
  hub: Pick<Hub, "live">;
  directory: Pick<Directory, "sessions">;
  everyMs: number;
  log: Logger;
}): () => void {
  const keep = () => {
    o.directory.sessions.inUse(
      o.hub
        .live()
        .map(({ session }) => session)
        .filter((session) => session !== null),
    );
    o.directory.sessions
      .sweep()
      .catch((error: unknown) => o.log.error({ err: error }, "expired sessions were not ended"));
  };
  keep();
  const timer = setInterval(keep, o.everyMs);
  return () => clearInterval(timer);
}
