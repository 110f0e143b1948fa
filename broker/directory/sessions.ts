import type { Principal, Session } from "../../lib/contracts/directory.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";
import { seal } from "../../lib/storage/people/sealing.ts";
import type { Store, Tx } from "../../lib/storage/store/store.ts";
import { BY_DIRECTORY, type By, type Drafts } from "./drafts.ts";
import { decode, encode, keyOf, RANGES, SessionRecord } from "./records.ts";
import { newToken, sha256 } from "./secrets.ts";

const HOUR = 60 * 60_000;
/** Use is noted on disk at most this often. */
const NOTED_EVERY_MS = 5 * 60_000;

/** How long a session lasts at most. */
export type SessionLimits = {
  /** One that is not used for this long has ended. */
  idleMs: number;
  /** One ends this long after the sign-in, however much it is used. */
  maxMs: number;
};
export const SESSION_LIMITS: SessionLimits = { idleMs: 12 * HOUR, maxMs: 30 * 24 * HOUR };

/** `ended`: by somebody who looked at the list of sessions. */
export type SessionEnd = "signed-out" | "expired" | "ended" | "locked" | "password-changed" | "erased";

/** Picks sessions out of all. */
export type WhichSessions = (record: SessionRecord) => boolean;

export interface Sessions {
  /**
   * The session is on disk together with its `session.started` event when this resolves.
   *
   * @param o.guard - called in the same batch; what it throws undoes the start.
   */
  start(o: {
    principal: Principal;
    app: string;
    auth: "session" | "local";
    address: string;
    guard?: (tx: Tx) => void;
  }): Promise<Session>;
  /** The live session of a token, found by its hash. Notes the use, and from where. */
  find(token: string, address?: string): SessionRecord | undefined;
  /** All that have not ended, oldest first. */
  list(): SessionRecord[];
  /** The address from which a session was last used since the hub started; kept in memory alone. */
  addressOf(session: string): string | undefined;
  /**
   * Ends the sessions that `which` picks, each with its event: their tokens are refused before this returns.
   *
   * @returns those that were ended.
   */
  end(which: WhichSessions, by: By, why: SessionEnd): Promise<SessionRecord[]>;
  /** The same as part of another write: they have ended when that is on disk. */
  stageEnd(tx: Tx, which: WhichSessions, by: By, why: SessionEnd): void;
  /** Called for each session that has ended, at once. */
  onEnd(listener: (record: SessionRecord, why: SessionEnd) => void): void;
  /** Notes that the sessions with these segments are in use by open connections. */
  inUse(segments: readonly string[]): void;
  /** Ends what has expired. */
  sweep(): Promise<void>;
}

/** Sessions by token: 256 random bits, of which only the SHA-256 is stored. */
export async function openSessions(o: {
  store: Store;
  outbox: Outbox;
  drafts: Drafts;
  limits: SessionLimits;
  /** What stands for a name in records. */
  subOf: (name: string) => string | undefined;
  /** The key under which a person's address is sealed. */
  keyOf: (sub: string) => Promise<Buffer>;
  now: () => number;
  random: (bytes: number) => Buffer;
  onFault: (error: unknown) => void;
}): Promise<Sessions> {
  const live = new Map<string, SessionRecord>();
  /** When the use of a session was last noted on disk, by its token's hash; in memory it is always up to date. */
  const noted = new Map<string, number>();
  const addresses = new Map<string, string>();
  const listeners: ((record: SessionRecord, why: SessionEnd) => void)[] = [];
  for await (const [, value] of o.store.range(RANGES.sessions)) {
    const record = decode(SessionRecord, value);
    live.set(record.tokenHash, withinLimits(record, o.limits));
    noted.set(record.tokenHash, Date.parse(record.lastSeen));
  }

  const tooOld = (record: SessionRecord) => o.now() >= Date.parse(record.expiresAt);
  const expired = (record: SessionRecord) => tooOld(record) || o.now() - Date.parse(record.lastSeen) > o.limits.idleMs;

  function use(record: SessionRecord): void {
    const used = { ...record, lastSeen: new Date(o.now()).toISOString() };
    live.set(record.tokenHash, used);
    if (o.now() - (noted.get(record.tokenHash) ?? 0) < NOTED_EVERY_MS) return;
    noted.set(record.tokenHash, o.now());
    o.store
      .write((tx) => {
        if (tx.get(keyOf.session(record.tokenHash)) !== undefined)
          tx.put(keyOf.session(record.tokenHash), encode(used));
      })
      .catch(o.onFault);
  }

  function forget(records: readonly SessionRecord[], why: SessionEnd): void {
    for (const record of records) {
      if (!live.delete(record.tokenHash)) continue;
      noted.delete(record.tokenHash);
      addresses.delete(record.session);
      for (const listener of listeners) listener(record, why);
    }
  }

  function stage(tx: Tx, records: readonly SessionRecord[], by: By, why: SessionEnd): void {
    for (const { tokenHash, session, user } of records) {
      if (tx.get(keyOf.session(tokenHash)) === undefined) continue;
      tx.del(keyOf.session(tokenHash));
      const payload = { why, whose: o.subOf(user) ?? null };
      o.outbox.stage(tx, o.drafts("session.ended", by, { kind: "session", key: session }, payload));
    }
  }

  async function end(which: WhichSessions, by: By, why: SessionEnd): Promise<SessionRecord[]> {
    const ended = [...live.values()].filter(which);
    if (ended.length === 0) return ended;
    forget(ended, why);
    await o.store.write((tx) => stage(tx, ended, by, why));
    return ended;
  }

  return {
    async start({ principal, app, auth, address, guard }) {
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
        expiresAt: at(o.now() + o.limits.maxMs),
      };
      const by = { sub: principal.sub, auth };
      const draft = o.drafts("session.started", by, { kind: "session", key: record.session }, {});
      const place = `${draft.id}/address`;
      const payload = {
        app,
        profile: principal.profile,
        expiresAt: record.expiresAt,
        address: seal(await o.keyOf(principal.sub), principal.sub, address, place, o.random),
      };
      // Before it is on disk, so that whoever ends all sessions of a name meanwhile ends this one as well.
      live.set(record.tokenHash, record);
      noted.set(record.tokenHash, o.now());
      addresses.set(record.session, address);
      const written = o.store.write((tx) => {
        guard?.(tx);
        tx.put(keyOf.session(record.tokenHash), encode(record));
        o.outbox.stage(tx, { ...draft, payload });
      });
      await written.catch((error: unknown) => {
        live.delete(record.tokenHash);
        noted.delete(record.tokenHash);
        addresses.delete(record.session);
        throw error;
      });
      const { session, expiresAt } = record;
      return { token, session, user: principal.name, profile: principal.profile, expiresAt };
    },
    find(token, address) {
      const record = live.get(sha256(token));
      if (record === undefined || expired(record)) return undefined;
      if (address !== undefined) addresses.set(record.session, address);
      use(record);
      return record;
    },
    list: () =>
      [...live.values()]
        .filter((record) => !expired(record))
        .toSorted((one, other) => Date.parse(one.createdAt) - Date.parse(other.createdAt)),
    addressOf: (session) => addresses.get(session),
    end,
    stageEnd(tx, which, by, why) {
      const ended = [...live.values()].filter(which);
      stage(tx, ended, by, why);
      tx.onCommit(() => forget(ended, why));
    },
    onEnd: (listener) => void listeners.push(listener),
    inUse(segments) {
      const used = new Set(segments);
      // Also when the hub itself slept for longer than the idle time: the connection was open all the while.
      for (const record of live.values()) if (used.has(record.session) && !tooOld(record)) use(record);
    },
    async sweep() {
      await end(expired, BY_DIRECTORY, "expired");
    },
  };
}

/** A session that was begun under a longer bound ends with the present one. */
function withinLimits(record: SessionRecord, { maxMs }: SessionLimits): SessionRecord {
  const latest = Date.parse(record.createdAt) + maxMs;
  return latest < Date.parse(record.expiresAt) ? { ...record, expiresAt: new Date(latest).toISOString() } : record;
}
