import type { Principal, Session } from "../../lib/contracts/directory.ts";
import type { Outbox } from "../../lib/storage/outbox.ts";
import type { Store } from "../../lib/storage/store.ts";
import { BY_DIRECTORY, type Drafts } from "./drafts.ts";
import { decode, encode, keyOf, RANGES, SessionRecord } from "./records.ts";
import { newToken, sha256 } from "./secrets.ts";

const HOUR = 60 * 60_000;
/** A session ends this long after the sign-in, however much it is used. */
export const ABSOLUTE_MS = 30 * 24 * HOUR;
/** A session that is not used for this long has ended. */
export const IDLE_MS = 12 * HOUR;
/** Use is noted on disk at most this often. */
const NOTED_EVERY_MS = 5 * 60_000;

export type SessionEnd = "signed-out" | "expired";

export interface Sessions {
  /** The session is on disk together with its `session.started` event when this resolves. */
  start(o: { principal: Principal; app: string; auth: "session" | "local" }): Promise<Session>;
  /** The live session of a token, found by its hash. Notes the use. */
  find(token: string): SessionRecord | undefined;
  /** Ends a session, with its event. Does nothing when it has ended. */
  end(record: SessionRecord, principal: Principal | undefined, why: SessionEnd): Promise<void>;
  /** Notes that the sessions with these segments are in use by open connections. */
  inUse(segments: readonly string[]): void;
  /** Ends what has expired. */
  sweep(principalOf: (name: string) => Principal | undefined): Promise<void>;
}

/** Sessions by token: 256 random bits, of which only the SHA-256 is stored. */
export async function openSessions(o: {
  store: Store;
  outbox: Outbox;
  drafts: Drafts;
  now: () => number;
  random: (bytes: number) => Buffer;
  onFault: (error: unknown) => void;
}): Promise<Sessions> {
  const live = new Map<string, SessionRecord>();
  for await (const [, value] of o.store.range(RANGES.sessions)) {
    const record = decode(SessionRecord, value);
    live.set(record.tokenHash, record);
  }

  const expired = (record: SessionRecord) =>
    o.now() >= Date.parse(record.expiresAt) || o.now() - Date.parse(record.lastSeen) > IDLE_MS;

  function use(record: SessionRecord): void {
    if (o.now() - Date.parse(record.lastSeen) < NOTED_EVERY_MS) return;
    const used = { ...record, lastSeen: new Date(o.now()).toISOString() };
    live.set(record.tokenHash, used);
    o.store
      .write((tx) => {
        if (tx.get(keyOf.session(record.tokenHash)) !== undefined)
          tx.put(keyOf.session(record.tokenHash), encode(used));
      })
      .catch(o.onFault);
  }

  async function end(record: SessionRecord, principal: Principal | undefined, why: SessionEnd): Promise<void> {
    live.delete(record.tokenHash);
    const by =
      why === "signed-out" && principal !== undefined ? { sub: principal.sub, auth: record.auth } : BY_DIRECTORY;
    await o.store.write((tx) => {
      if (tx.get(keyOf.session(record.tokenHash)) === undefined) return;
      tx.del(keyOf.session(record.tokenHash));
      o.outbox.stage(tx, o.drafts("session.ended", by, { kind: "session", key: record.session }, { why }));
    });
  }

  return {
    async start({ principal, app, auth }) {
      const token = newToken(o.random);
      const at = (ms: number) => new Date(ms).toISOString();
      const record: SessionRecord = {
        v: 1,
        tokenHash: sha256(token),
        session: `s-${o.random(8).toString("hex")}`,
        user: principal.name,
        app,
        auth,
        createdAt: at(o.now()),
        lastSeen: at(o.now()),
        expiresAt: at(o.now() + ABSOLUTE_MS),
      };
      const payload = { app, profile: principal.profile, expiresAt: record.expiresAt };
      const by = { sub: principal.sub, auth };
      await o.store.write((tx) => {
        tx.put(keyOf.session(record.tokenHash), encode(record));
        o.outbox.stage(tx, o.drafts("session.started", by, { kind: "session", key: record.session }, payload));
      });
      live.set(record.tokenHash, record);
      const { session, expiresAt } = record;
      return { token, session, user: principal.name, profile: principal.profile, expiresAt };
    },
    find(token) {
      const record = live.get(sha256(token));
      if (record === undefined || expired(record)) return undefined;
      use(record);
      return record;
    },
    end,
    inUse(segments) {
      const used = new Set(segments);
      for (const record of live.values()) if (used.has(record.session) && !expired(record)) use(record);
    },
    async sweep(principalOf) {
      for (const record of [...live.values()].filter(expired)) await end(record, principalOf(record.user), "expired");
    },
  };
}
