import type { Logger } from "../lib/runtime/log.ts";
import type { Directory } from "./directory/directory.ts";
import type { NameChange } from "./directory/register.ts";
import type { SessionEnd } from "./directory/sessions.ts";
import type { EndedBecause } from "./live-connections.ts";
import type { Hub } from "./hub.ts";

/**
 * Makes what changes in the directory hold for connections that are open already, before whoever made the change hears
 * that it is done: a connection whose rights, credential or session are no more is ended.
 *
 * A changed profile ends the connection as well, rather than changing what it may do: the client comes back with the
 * same session, and its subscriptions, view rate and screens begin anew under the new rights.
 */
export function followDirectory(o: {
  hub: Pick<Hub, "disconnect" | "refresh">;
  directory: Pick<Directory, "register" | "sessions">;
  log: Logger;
}): void {
  const { hub, directory } = o;
  const refresh = (name: string) => {
    hub.refresh(name).catch((error: unknown) => o.log.error({ err: error, name }, "stored sessions were not dropped"));
  };
  // A hub that was killed right after a change has not done so yet.
  for (const { name, active } of directory.register.principals()) if (!active) refresh(name);
  directory.register.onChange((change) => {
    const { name } = change.erased && change.before !== undefined ? change.before : change.principal;
    const why = reasonIn(change);
    if (why === null) return;
    // Who holds a session has not shown the password; the directory ends those sessions that are not to outlive it.
    const showed = (session: string | null) => why !== "password-changed" || session === null;
    hub.disconnect(({ user, session }) => user === name && showed(session), why);
    refresh(name);
  });
  directory.sessions.onEnd(({ session }, why) => {
    const because = isReason(why) ? why : "session-ended";
    hub.disconnect((connection) => connection.session === session, because);
  });
}

function isReason(why: SessionEnd): why is SessionEnd & EndedBecause {
  return why === "locked" || why === "password-changed" || why === "erased";
}

/** Why the connections of a name cannot stay as they are; null when they can. */
function reasonIn({ principal, before, erased, credential }: NameChange): EndedBecause | null {
  if (before === undefined) return null;
  if (erased) return "erased";
  const isPerson = principal.kind === "person";
  if (!principal.active) return isPerson ? "locked" : "revoked";
  if (before.profile !== principal.profile) return "profile-changed";
  if (credential) return isPerson ? "password-changed" : "key-replaced";
  return null;
}
