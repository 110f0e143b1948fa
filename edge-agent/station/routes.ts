import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { RastroError } from "../../lib/contracts/errors.ts";
import { Uuid7 } from "../../lib/contracts/names.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { JUSTIFICATION_MINIMUM, REASON_CODES } from "../../lib/contracts/production.ts";
import {
  StationCorrection,
  StationEntriesQuery,
  stationEntry,
  type StationForm,
  StationSignIn,
  StationVoid,
} from "../../lib/contracts/station.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import { onlyFromHere } from "../door/admission.ts";
import { answerTo, jsonBody } from "../door/answers.ts";
import type { OutboxReport } from "../summary/summary.ts";
import type { AtHub } from "./at-hub.ts";
import type { KeptChoices } from "./choices.ts";
import type { StationEntriesPort } from "./entries.ts";
import type { HubFollower } from "./follow-hub.ts";
import type { OpenSession, StationSessions } from "./sessions.ts";
import type { Person } from "./sign-in.ts";

/** Another name than the console's: ports do not keep cookies apart (decision 10). */
const COOKIE = "rastro-station";
const BODY_MAXIMUM = 64 * 1024;

export type StationRoutesOptions = {
  machine: string;
  tz: string;
  signIn: (given: StationSignIn) => Promise<Person>;
  sessions: StationSessions;
  /** Called once for each session that has begun. */
  onStart: (session: OpenSession) => void;
  /** Ends the person's session at the hub. */
  signOut: (person: Person) => void;
  entries: StationEntriesPort;
  choices: Pick<KeptChoices, "now">;
  follower: Pick<HubFollower, "refreshedAt">;
  atHub: Pick<AtHub, "call">;
  /** What waits, and whether the hub is in reach. */
  depth: () => OutboxReport[];
  hubInReach: () => boolean;
  log: Logger;
};

/**
 * The station's API: what an operator's form on this PC needs, with the network or without it. Requests and answers are
 * those of lib/contracts/station.ts; a Problem with an HTTP status for what is refused. The README has the table.
 */
export function createStationRoutes(o: StationRoutesOptions): Hono {
  const routes = new Hono();
  const here = onlyFromHere();
  const limit = bodyLimit({ maxSize: BODY_MAXIMUM, onError: tooLarge });
  routes.onError((error, context) => answerTo(error, context, o.log));
  routes.use("/station/*", here, limit, async (context, next) => {
    context.header("cache-control", "no-store");
    await next();
  });
  addSignIn(routes, o);
  addEntries(routes, o);
  addChanges(routes, o);
  routes.get("/station/form", (context) => {
    signedIn(o, context);
    return context.json(formOf(o));
  });
  routes.get("/station/waiting", (context) =>
    context.json({ machine: o.machine, hub: o.hubInReach(), outboxes: o.depth() }),
  );
  return routes;
}

function addSignIn(routes: Hono, o: StationRoutesOptions): void {
  routes.post("/station/session", async (context) => {
    const given = parseValue(StationSignIn, await jsonBody(context), "the sign-in");
    const person = await o.signIn(given);
    const before = o.sessions.find(getCookie(context, COOKIE) ?? "");
    const { token, session } = o.sessions.start(person);
    o.onStart(session);
    // At a change of shift nobody signs out first.
    if (before !== null) signOut(o, before);
    setCookie(context, COOKIE, token, { path: "/", httpOnly: true, sameSite: "Strict" });
    return context.json(o.sessions.view(session), 201);
  });
  routes.get("/station/session", (context) => context.json(o.sessions.view(signedIn(o, context))));
  routes.delete("/station/session", (context) => {
    signOut(o, signedIn(o, context));
    deleteCookie(context, COOKIE, { path: "/" });
    return context.body(null, 204);
  });
}

function signOut(o: Pick<StationRoutesOptions, "sessions" | "signOut">, session: OpenSession): void {
  o.sessions.end(session, "signed-out");
  o.signOut(session.person);
}

function addEntries(routes: Hono, o: StationRoutesOptions): void {
  const NewEntry = stationEntry(o.machine);
  routes.post("/station/entries", async (context) => {
    const { person } = signedIn(o, context);
    const entry = parseValue(NewEntry, await jsonBody(context), "the entry");
    return context.json(await o.entries.save(person, entry), 202);
  });
  routes.get("/station/entries", async (context) => {
    const { person } = signedIn(o, context);
    const query = parseValue(StationEntriesQuery, context.req.query(), "the question for entries");
    return context.json(await o.entries.list(person, query));
  });
  routes.get("/station/entries/:id", async (context) => {
    const { person } = signedIn(o, context);
    return context.json(await o.entries.one(person, idOf(context)));
  });
}

/** Changes to what is booked, and the book's own view of an entry: asked of the hub in the person's name, never kept for later. */
function addChanges(routes: Hono, o: StationRoutesOptions): void {
  routes.get("/station/book/entries/:id", async (context) => {
    const session = signedIn(o, context);
    return context.json(await o.atHub.call(session)("production", "entry-show", { id: idOf(context) }));
  });
  routes.post("/station/book/entries/:id/corrections", async (context) => {
    const session = signedIn(o, context);
    const change = parseValue(StationCorrection, await jsonBody(context), "the correction");
    return context.json(await o.atHub.call(session)("production", "entry-correct", { id: idOf(context), ...change }));
  });
  routes.post("/station/book/entries/:id/void", async (context) => {
    const session = signedIn(o, context);
    const change = parseValue(StationVoid, await jsonBody(context), "the void");
    return context.json(await o.atHub.call(session)("production", "entry-void", { id: idOf(context), ...change }));
  });
}

function formOf({ machine, tz, choices, follower }: StationRoutesOptions): StationForm {
  const asOf = follower.refreshedAt();
  return {
    machine,
    tz,
    reasons: Object.entries(REASON_CODES).map(([code, meaning]) => ({ code, meaning })),
    justificationMinimum: JUSTIFICATION_MINIMUM,
    choices: choices.now(),
    choicesAsOf: asOf === null ? null : new Date(asOf).toISOString(),
  };
}

/** @throws RastroError `bad_credentials`. */
function signedIn({ sessions }: Pick<StationRoutesOptions, "sessions">, context: Context): OpenSession {
  const session = sessions.find(getCookie(context, COOKIE) ?? "");
  if (session !== null) return session;
  throw new RastroError({
    code: "bad_credentials",
    message: "Asking the station failed: nobody is signed in, or the session has ended; sign in first.",
    field: "cookie",
    expected: "the cookie of a sign-in at this station",
  });
}

function idOf(context: Context): string {
  return parseValue(Uuid7, context.req.param("id"), "the entry's id");
}

function tooLarge(context: Context): Response {
  return context.json({ code: "schema", message: `Asking the station failed: more than ${BODY_MAXIMUM} bytes.` }, 413);
}
