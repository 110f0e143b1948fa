import type { KeyObject } from "node:crypto";
import { BookName } from "../../lib/contracts/names.ts";
import { STANDBY } from "../../lib/contracts/directory.ts";
import { topics } from "../../lib/contracts/topics.ts";
import type { Policy } from "../../lib/ledger/policy.ts";
import type { VerifierKey } from "../../lib/ledger/signed-note.ts";
import type { Link } from "../../lib/messaging/link.ts";
import { createRequester, type Requester } from "../../lib/messaging/request-client.ts";
import type { After } from "../../lib/messaging/timing.ts";
import type { AlarmRule } from "../../lib/runtime/alarms.ts";
import type { Check } from "../../lib/runtime/health.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Metric } from "../../lib/runtime/metrics.ts";
import { Mirror } from "../../lib/storage/copy/mirror.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { alarmsOf } from "./alarms.ts";
import { createCosigner } from "./cosigned-note.ts";
import { figuresOf } from "./figures.ts";
import { type FetchPiece, fetchQuarantine, type QuarantineFetcher } from "./fetch-quarantine.ts";
import { type Follower, followBook } from "./follow-book.ts";
import { knownKeys } from "./known-keys.ts";
import type { FetchRecords } from "./read-ahead.ts";
import { problemIn, stateOf } from "./state.ts";
import { tellRegularly } from "./tell-regularly.ts";

/** A service that is busy, or a clock that is behind, must not make a request fail before it is begun. */
const FETCH_TIMEOUT_MS = 60_000;

export type StandbyOptions = {
  link: Link;
  plant: string;
  stores: Readonly<Record<BookName, Store>>;
  /** The keys that were pinned for each log. */
  logKeys: Readonly<Record<BookName, readonly VerifierKey[]>>;
  policy: Policy | null;
  privateKey: KeyObject;
  newId: () => string;
  now: () => number;
  after: After;
  random: (bytes: number) => Buffer;
  log: Logger;
};

export type Standby = {
  mirrors: Readonly<Record<BookName, Mirror>>;
  followers: Readonly<Record<BookName, Follower>>;
  checks: Record<string, Check>;
  figures: Metric[];
  alarms: AlarmRule[];
  /** Finishes what it has begun. Stores and link stay the caller's to close. */
  close(): Promise<void>;
};

/**
 * Follows both books of a plant, and says on retained topics how much of each is proven here. Waits for nothing: the
 * checks say what is missing.
 *
 * @throws RastroError `book_damaged` for a mirror that does not agree with itself.
 */
export function startStandby(o: StandbyOptions): Standby {
  const { link, now, after, random, newId } = o;
  const session = `s-${random(8).toString("hex")}`;
  const requester = createRequester({ link, user: STANDBY, session, newId, now, after });
  const startedAt = now();
  const mirrors = perBook((name) => Mirror.open({ store: o.stores[name], name, now }));
  const followers = perBook((name) => follow(o, mirrors[name], requester));
  const fetchers = perBook((name) => followQuarantine(o, mirrors[name], followers[name], requester));
  const stops = BookName.options.map((name) => tellOf(o, name, followers[name]));

  for (const name of BookName.options) {
    const take = (_topic: string, payload: Buffer) => followers[name].take(payload.toString("utf8"));
    // A standby is there before its hub is, and after it.
    link.subscribe(topics.checkpoint(name), take).catch((error: unknown) => {
      o.log.error({ err: error, book: name }, "checkpoints cannot be heard");
    });
  }
  return {
    mirrors,
    followers,
    checks: {
      hub: () => link.connected || "not connected to the hub",
      ...Object.fromEntries(
        BookName.options.map((name) => [name, () => problemIn(name, followers[name].standing(), now()) ?? true]),
      ),
    },
    figures: figuresOf({ followers, fetchers, now }),
    alarms: BookName.options.flatMap((name) => alarmsOf(name, () => followers[name].standing(), { now, startedAt })),
    async close() {
      await Promise.all(BookName.options.map((name) => followers[name].close()));
      await Promise.all(BookName.options.map((name) => fetchers[name].close()));
      stops.forEach((stop) => stop());
    },
  };
}

function perBook<T>(make: (name: BookName) => T): Readonly<Record<BookName, T>> {
  return { production: make("production"), audit: make("audit") };
}

function follow(o: StandbyOptions, mirror: Mirror, requester: Requester): Follower {
  const book = mirror.name;
  const { policy, now, after, random, log } = o;
  const fetch = fetchFrom(requester, book);
  const ask = async () => (await requester.call(book, "book-keys", {})).rotations;
  const logKeys = knownKeys({ pinned: o.logKeys[book], kept: mirror, ask });
  return followBook({ book, origin: `${o.plant}/${book}`, mirror, logKeys, policy, fetch, now, after, random, log });
}

function followQuarantine(
  o: StandbyOptions,
  mirror: Mirror,
  follower: Follower,
  requester: Requester,
): QuarantineFetcher {
  const book = mirror.name;
  const { quarantine } = mirror;
  const { after, random, log } = o;
  const fetch: FetchPiece = async (digest, offset) => {
    const wanted = { sha256: digest.toString("hex"), offset };
    const { piece, next } = await requester.call(book, "quarantine-show", wanted, { timeoutMs: FETCH_TIMEOUT_MS });
    return { piece: Buffer.from(piece, "base64"), next };
  };
  const fetcher = fetchQuarantine({ book, mirror, quarantine, fetch, after, random, log });
  follower.onChange(fetcher.changed);
  return fetcher;
}

/** Tells how far a book has come, whenever that changes and at each new connection. */
function tellOf(o: StandbyOptions, book: BookName, follower: Follower): () => void {
  const cosigned = createCosigner({ name: `${o.plant}/${STANDBY}`, privateKey: o.privateKey, now: o.now });
  const telling = tellRegularly({
    tell: () => {
      const state = stateOf(book, follower.standing(), { now: o.now(), cosigned });
      return o.link.publish(topics.standbyBook(book), JSON.stringify(state), { qos: 1, retain: true });
    },
    after: o.after,
  });
  follower.onChange(telling.changed);
  o.link.onUp(telling.changed);
  return telling.stop;
}

/** @throws RastroError as {@link Requester.call}; RangeError for an answer with other records than those asked for. */
function fetchFrom(requester: Requester, book: BookName): FetchRecords {
  return async (from, limit) => {
    const { records } = await requester.call(book, "book-range", { from, limit }, { timeoutMs: FETCH_TIMEOUT_MS });
    const strange = records.findIndex(({ seq }, index) => seq !== from + index);
    if (strange !== -1) throw new RangeError(`asked for record ${from + strange}, got ${records[strange]?.seq}`);
    return records.map(({ bytes }) => Buffer.from(bytes, "base64"));
  };
}
