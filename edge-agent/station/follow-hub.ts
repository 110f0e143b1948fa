import { RastroError } from "../../lib/contracts/errors.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { AtHub } from "./at-hub.ts";
import type { KeptChoices } from "./choices.ts";
import type { OpenSession, StationSessions } from "./sessions.ts";
import type { DirectoryPort } from "./sign-in.ts";
import type { Verifiers } from "./verifiers.ts";

/** Entries of the book that a form's choices are taken from. */
const RECENT = 500;

export type FollowOptions = {
  directory: () => DirectoryPort;
  sessions: Pick<StationSessions, "list" | "end" | "sweep">;
  verifiers: Pick<Verifiers, "forget" | "prune">;
  atHub: Pick<AtHub, "call">;
  store: Pick<Store, "write">;
  choices: Pick<KeptChoices, "note">;
  now: () => number;
  log: Logger;
};

export interface HubFollower {
  /**
   * Ends what has run out, and asks the hub whether those who are signed in still may be. While it does not answer they
   * stay.
   */
  recheck(): Promise<void>;
  /** Takes from the book what others have entered lately, to be offered; without the hub nothing changes. */
  refresh(session: OpenSession): Promise<void>;
  /** When the last {@link HubFollower.refresh} succeeded, ms; null for never since the start. */
  refreshedAt(): number | null;
}

/** What the station learns from the hub while somebody who signed in there is at it. */
export function createHubFollower(o: FollowOptions): HubFollower {
  let refreshedAt: number | null = null;

  async function recheckOne(session: OpenSession): Promise<void> {
    const { hub, user } = session.person;
    if (hub === null) return;
    try {
      const { profile } = await o.directory().sessionOwner({ name: user, token: hub.token });
      session.person.profile = profile;
    } catch (error) {
      if (!(error instanceof RastroError) || error.code !== "bad_credentials") return;
      o.sessions.end(session, "hub-ended");
      // Whoever ended it, by a lock or another password perhaps, did not mean it to be good for days more without the hub.
      await o.verifiers.forget(user);
    }
  }

  return {
    async recheck() {
      o.sessions.sweep();
      await o.verifiers
        .prune()
        .catch((err: unknown) => o.log.warn({ err }, "old sign-ins were not taken out of the file"));
      for (const session of o.sessions.list()) {
        await recheckOne(session).catch((err: unknown) =>
          o.log.warn({ err }, "a sign-in could not be looked at again"),
        );
      }
    },
    async refresh(session) {
      if (session.person.hub === null) return;
      try {
        const { entries } = await o.atHub.call(session)("production", "entry-list", { limit: RECENT });
        const oldestFirst = entries.map(({ fields }) => fields).toReversed();
        await o.store.write((tx) => o.choices.note(tx, oldestFirst));
        refreshedAt = o.now();
      } catch (err) {
        o.log.debug({ err }, "the book was not asked for lots and products; those that are known have to do");
      }
    },
    refreshedAt: () => refreshedAt,
  };
}
