import type { Logger } from "../lib/runtime/log.ts";
import type { Directory } from "./directory/directory.ts";
import type { Hub } from "./hub.ts";

/**
 * Ends expired sessions now and at intervals, their open connections with them. A session whose connection is open counts
 * as used, whether anything is sent on it or not: a screen that shows the floor for a whole shift must not be signed out
 * at the first reconnection. So an open connection never ends for being idle; it does when its session has lasted as long
 * as a session may.
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
