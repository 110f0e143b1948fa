import type { Session } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { EventDraft } from "../../lib/contracts/events.ts";
import type { Link } from "../../lib/messaging/link.ts";
import { createDirectoryClient } from "../../lib/runtime/directory-client.ts";
import { createLockout } from "../../lib/runtime/lockout.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Passwords } from "../../lib/runtime/passwords.ts";
import { isLoopback } from "../../lib/runtime/settings.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { breathe } from "../breathe.ts";
import type { EntryIntake } from "../door/entry-intake.ts";
import type { Every } from "../every.ts";
import type { HubTime } from "../link/hub-time.ts";
import type { Moment } from "../own-events.ts";
import type { OutboxReport } from "../summary/summary.ts";
import { createActs } from "./acts.ts";
import { createAtHub } from "./at-hub.ts";
import { openChoices } from "./choices.ts";
import { createStationEntries } from "./entries.ts";
import { createHubFollower } from "./follow-hub.ts";
import { listenForStation } from "./listen.ts";
import { createStationRoutes } from "./routes.ts";
import { createSessions } from "./sessions.ts";
import { createSignIn, type DirectoryPort } from "./sign-in.ts";
import { openVerifiers } from "./verifiers.ts";

/** How often the hub is asked whether those who signed in there still may be, and what the book has that a form offers. */
const RECHECK_MS = 30_000;
const REFRESH_MS = 5 * 60_000;
/** Somebody waits at the form: less where nothing is known to answer. */
const DIRECTORY_MS = 8000;
const DIRECTORY_AWAY_MS = 1500;

export type StationOptions = {
  machine: string;
  app: string;
  tz: string;
  port: number;
  verifiersFile: string;
  offlineMs: number;
  idleMs: number;
  store: Store;
  /** The outboxes to the book of production and to that of audit. */
  entries: Outbox;
  acts: Pick<Outbox, "stage">;
  intake: EntryIntake;
  depth: () => OutboxReport[];
  hubInReach: () => boolean;
  directoryUrl: () => string;
  /** Opens a link in the name of somebody's session at the hub. */
  openLink: (session: Session) => Link;
  /** Called at the first sign-in. */
  openPasswords: () => Passwords;
  hubTime: Pick<HubTime, "offsetMs">;
  moment: () => Moment;
  now: () => number;
  random: (bytes: number) => Buffer;
  every: Every;
  log: Logger;
};

export type Station = { alarms(): string[]; routes: ReturnType<typeof createStationRoutes>; close(): Promise<void> };

/** Puts the station together and opens it. */
export async function startStation(o: StationOptions): Promise<Station> {
  const { machine, app, tz, now, random, log, store } = o;
  const { record, recorded } = recorder(o);
  const acts = createActs({ machine, app, record, moment: o.moment, now });
  const passwords = lazily(o.openPasswords);
  const verifiers = await openVerifiers({ file: o.verifiersFile, keepMs: o.offlineMs, passwords, now, log });
  const atHub = createAtHub({
    open: o.openLink,
    now: () => now() + (o.hubTime.offsetMs() ?? 0),
    newId: () => random(8).toString("hex"),
    onFault: (err) => log.warn({ err }, "a connection to the hub was not closed in order"),
  });
  const sessions = createSessions({
    idleMs: o.idleMs,
    now,
    random,
    onEnd: (session, why) => {
      atHub.release(session);
      acts.ended(session, why);
    },
  });
  const directory = () => directoryOf(o);
  const choices = openChoices(store);
  const follower = createHubFollower({ directory, sessions, verifiers, atHub, store, choices, now, log });
  const routes = createStationRoutes({
    machine,
    tz,
    sessions,
    entries: createStationEntries({ store, outbox: o.entries, intake: o.intake, choices, breathe }),
    choices,
    follower,
    atHub,
    signIn: createSignIn({
      directory,
      verifiers,
      lockout: createLockout(now),
      onRefused: ({ user, code }) => acts.refused({ sub: verifiers.subOf(user), code }),
      app,
      log,
    }),
    onStart: (session) => {
      acts.started(session);
      void follower.refresh(session);
    },
    signOut: ({ user, hub }) => {
      if (hub === null) return;
      const signedOut = directory().signOut({ name: user, token: hub.token });
      signedOut.catch((err: unknown) => log.info({ err }, "a session at the hub was not ended; it runs out by itself"));
    },
    depth: o.depth,
    hubInReach: o.hubInReach,
    log,
  });
  const port = await listenForStation({ port: o.port, routes, every: o.every, log });
  const stops = [
    o.every(RECHECK_MS, () => void follower.recheck()),
    o.every(REFRESH_MS, () => {
      const signedIn = sessions.list().find(({ person }) => person.hub !== null);
      if (signedIn !== undefined) void follower.refresh(signedIn);
    }),
  ];
  return {
    alarms: port.alarms,
    routes,
    async close() {
      for (const stop of stops) stop();
      await port.close();
      for (const session of sessions.list()) sessions.end(session, "stopped");
      acts.close();
      await atHub.close();
      await recorded();
    },
  };
}

/** That an act could not be recorded (a full disk) keeps nobody from looking at what waits. */
function recorder({ store, acts, log }: StationOptions) {
  let recorded: Promise<unknown> = Promise.resolve();
  return {
    record: (draft: EventDraft) => {
      const done = store
        .write((tx) => void acts.stage(tx, draft))
        .catch((err: unknown) => log.error({ err }, "a sign-in at the station could not be recorded"));
      recorded = Promise.all([recorded, done]);
    },
    recorded: async () => {
      await recorded;
    },
  };
}

function directoryOf(o: Pick<StationOptions, "directoryUrl" | "hubInReach">): DirectoryPort {
  const url = o.directoryUrl();
  requireUnreadable(url);
  return createDirectoryClient({ url, timeoutMs: o.hubInReach() ? DIRECTORY_MS : DIRECTORY_AWAY_MS });
}

/** Passwords go over TLS, or do not leave this machine (decision 8). @throws RastroError `not_allowed`. */
function requireUnreadable(url: string): void {
  const { protocol, hostname } = new URL(url);
  if (protocol === "https:" || isLoopback(hostname.replaceAll(/^\[|\]$/g, ""))) return;
  throw new RastroError({
    code: "not_allowed",
    message: `Signing in failed: the password would go to ${url} in the clear; expected: https, or the hub on this machine.`,
    given: url,
    expected: "https://… or an address of this machine",
  });
}

function lazily(make: () => Passwords): () => Passwords {
  let made: Passwords | null = null;
  return () => (made ??= make());
}
