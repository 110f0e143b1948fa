import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { z } from "zod";
import {
  type CertificateIssued,
  CertificateRequest,
  type HubTime,
  MachineActiveRequest,
  type MachineAdded,
  MachineAddRequest,
  PasswordRequest,
  ServiceKeyRequest,
  SessionEndRequest,
  type SessionOwner,
  SetupRequest,
  SignInRequest,
  SpeaksForRequest,
  type SpeaksForSet,
  STANDBY,
  UserActiveRequest,
  UserAddRequest,
  UserProfileRequest,
} from "../../lib/contracts/directory.ts";
import { type ErrorCode, RastroError, toProblem } from "../../lib/contracts/errors.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import type { Logger } from "pino";
import type { Backups } from "../../lib/storage/backup/backups.ts";
import { addBackupRoutes } from "./backup-routes.ts";
import type { Authority } from "../tls/authority.ts";
import { forwardedAddress } from "../forwarded-address.ts";
import { admittedOrThrow, type Directory } from "./directory.ts";
import { administrator, callerOf, notAllowed, refuseSelf } from "./caller.ts";
import { type ConnectionsPort, openSessionsOf } from "./open-sessions.ts";
import { addPrivacyRoutes } from "./privacy-routes.ts";

const LONGEST_BODY = 64 * 1024;

const STATUS: Partial<Record<ErrorCode, ContentfulStatusCode>> = {
  malformed: 400,
  schema: 400,
  weak_password: 400,
  bad_credentials: 401,
  not_allowed: 403,
  unknown_name: 404,
  unknown_session: 404,
  unknown_backup: 404,
  already_erased: 409,
  last_administrator: 409,
  name_taken: 409,
  setup_done: 409,
  busy: 429,
  locked_out: 429,
};

/** What the directory tells of requests that it refused: the hub's access log is fed with it. */
export type OnRefusedRequest = (refusal: {
  user: string | null;
  address: string;
  code: ErrorCode;
  path: string;
}) => void;

/**
 * The directory's HTTP interface (paths and bodies in contracts/directory.ts). It is mounted on loopback; the console
 * forwards to it and names the browser's address in `x-forwarded-for`.
 */
export function directoryRoutes(o: {
  directory: Directory;
  /** The hub's open connections. */
  connections: ConnectionsPort;
  now: () => number;
  log: Logger;
  onRefused: OnRefusedRequest;
  /** Issues client certificates; null where there is none. */
  authority: Pick<Authority, "certificate" | "issueClient"> | null;
  /** Of the hub's own stores; null where they lie in memory. */
  backups: Backups | null;
  /** The secret by which the console is known; null where none is believed. */
  forwarder: string | null;
}): Hono {
  const { directory } = o;
  const addressOf = (context: Context) => addressIn(context, o.forwarder);
  const app = new Hono();
  const caller = (context: Context) => callerOf(directory, context, addressOf(context));
  const openSessions = openSessionsOf(o);
  app.use(bodyLimit({ maxSize: LONGEST_BODY, onError: tooLarge }));

  app.post("/directory/sessions", async (context) => {
    const request = await bodyOf(context, SignInRequest);
    if ("user" in request) {
      const { user, password, app: application } = request;
      (context as Context).set("claimed", user);
      return context.json(await directory.signIn({ user, password, address: addressOf(context) }, application));
    }
    refuseForwarded(context);
    return context.json(await directory.signInLocal(request.localKey, request.app));
  });

  app.get("/directory/sessions/current", async (context) => {
    const { principal, session } = await caller(context);
    if (session === null) throw notAllowed("looking at one's own session", principal.name, "a session");
    const { name: user, sub, profile } = principal;
    const owner: z.infer<typeof SessionOwner> = { session, user, sub, profile };
    return context.json(owner);
  });

  app.delete("/directory/sessions/current", async (context) => {
    const { by, session } = await caller(context);
    await directory.sessions.end((one) => one.session === session, by, "signed-out");
    return context.body(null, 204);
  });

  app.get("/directory/open-sessions", async (context) =>
    context.json(openSessions.list(await caller(context), context.req.query("user") ?? null)),
  );

  app.post("/directory/open-sessions/end", async (context) =>
    context.json(await openSessions.end(await caller(context), await bodyOf(context, SessionEndRequest))),
  );

  app.post("/directory/setup", async (context) => {
    const { code, user, password } = await bodyOf(context, SetupRequest);
    return context.json(await directory.setup(code, user, password), 201);
  });

  app.get("/directory/time", (context) => {
    const time: z.infer<typeof HubTime> = { now: new Date(o.now()).toISOString(), plant: directory.plant };
    return context.json(time);
  });

  app.get("/directory/users", async (context) => {
    administrator(await caller(context), "listing people");
    return context.json(await directory.people.list());
  });

  app.post("/directory/users", async (context) => {
    const { by } = administrator(await caller(context), "adding a person");
    return context.json(await directory.people.add(by, await bodyOf(context, UserAddRequest)), 201);
  });

  app.put("/directory/users/:name/password", async (context) => {
    const who = await caller(context);
    const name = context.req.param("name");
    const { password, current } = await bodyOf(context, PasswordRequest);
    if (name === who.principal.name) {
      const given = { user: name, password: current ?? "", address: addressOf(context) };
      admittedOrThrow(await directory.credentials.password(given));
    } else {
      administrator(who, "setting somebody else's password");
    }
    await directory.people.setPassword(who.by, name, password, who.session ?? undefined);
    return context.body(null, 204);
  });

  app.put("/directory/users/:name/active", async (context) => {
    const who = administrator(await caller(context), "locking and unlocking a person");
    const { active } = await bodyOf(context, UserActiveRequest);
    const name = context.req.param("name");
    if (active) {
      await directory.people.unlock(who.by, name);
      directory.credentials.forgive(name);
    } else {
      refuseSelf(who, name, "locking oneself out");
      await directory.people.lock(who.by, name);
    }
    return context.body(null, 204);
  });

  app.put("/directory/users/:name/profile", async (context) => {
    const who = administrator(await caller(context), "setting a profile");
    const name = context.req.param("name");
    const { profile } = await bodyOf(context, UserProfileRequest);
    refuseSelf(who, name, "changing one's own profile");
    await directory.people.setProfile(who.by, name, profile);
    return context.body(null, 204);
  });

  app.post("/directory/certificates", async (context) => {
    const { by } = administrator(await caller(context), "issuing a certificate");
    if (o.authority === null) throw noAuthority();
    const { name, publicKey, days } = await bodyOf(context, CertificateRequest);
    const issued = await certify(o.authority, name, publicKey, days);
    const notAfter = issued.notAfter.toISOString();
    // On record before anybody holds it.
    await directory.noteCertificate(by, { name, serial: issued.serial, notAfter });
    const answer: z.infer<typeof CertificateIssued> = { ...issued, notAfter, authority: o.authority.certificate };
    return context.json(answer, 201);
  });

  app.get("/directory/machines", async (context) => {
    administrator(await caller(context), "listing machines");
    return context.json(directory.register.principals().filter(({ kind }) => kind === "machine"));
  });

  app.post("/directory/machines", async (context) => {
    const { by } = administrator(await caller(context), "adding a machine");
    return context.json(await directory.devices.addMachine(by, await bodyOf(context, MachineAddRequest)), 201);
  });

  app.put("/directory/machines/:id/active", async (context) => {
    const { by } = administrator(await caller(context), "revoking and readmitting a machine");
    const id = context.req.param("id");
    const wanted = await bodyOf(context, MachineActiveRequest);
    if (wanted.active) {
      const readmitted: z.infer<typeof MachineAdded> = await directory.devices.readmit(by, id, wanted.publicKey);
      return context.json(readmitted);
    }
    await directory.devices.revoke(by, id);
    return context.body(null, 204);
  });

  app.put("/directory/machines/:id/speaks-for", async (context) => {
    const { by } = administrator(await caller(context), "setting for which machines one speaks");
    const { speaksFor } = await bodyOf(context, SpeaksForRequest);
    const id = context.req.param("id");
    const set: z.infer<typeof SpeaksForSet> = {
      id,
      speaksFor: await directory.devices.setSpeaksFor(by, id, speaksFor),
    };
    return context.json(set);
  });

  app.put(`/directory/services/${STANDBY}/key`, async (context) => {
    const { by } = administrator(await caller(context), "registering a standby");
    const { publicKey } = await bodyOf(context, ServiceKeyRequest);
    await directory.devices.admitService(by, STANDBY, publicKey);
    return context.body(null, 204);
  });

  app.delete(`/directory/services/${STANDBY}/key`, async (context) => {
    const { by } = administrator(await caller(context), "revoking a standby");
    await directory.devices.revokeService(by, STANDBY);
    return context.body(null, 204);
  });

  app.get("/directory/people/:sub/key", async (context) => {
    const { principal } = await caller(context);
    if (principal.kind !== "service") throw notAllowed("reading a person's key", principal.name, "a service");
    return context.json(await directory.people.key(context.req.param("sub")));
  });

  const admit = async (context: Context, action: string) => administrator(await caller(context), action).by;
  addPrivacyRoutes(app, { directory, openSessions, caller });
  addBackupRoutes(app, { backups: o.backups, administrator: admit });

  app.onError((error, context) => {
    const problem = toProblem(error);
    const { path } = context.req;
    if (problem.code === "internal") o.log.error({ err: error, path }, "a request to the directory failed");
    const status = STATUS[problem.code] ?? 500;
    if (status === 401 || status === 403 || status === 429) {
      o.onRefused({ user: claimedName(context), address: addressOf(context), code: problem.code, path });
    }
    return context.json(problem, status);
  });
  return app;
}

async function bodyOf<S extends z.ZodType>(context: Context, schema: S): Promise<z.infer<S>> {
  return parseJson(schema, await context.req.text(), `the body of ${context.req.method} ${context.req.path}`);
}

/** The local key is for whoever sits at the hub; what came through the console may come from anywhere. */
function refuseForwarded(context: Context): void {
  if (context.req.header("x-forwarded-for") === undefined) return;
  throw new RastroError({
    code: "not_allowed",
    message: "Signing in with the local key failed: it is good on the hub itself only, not through the console.",
  });
}

/** The listener is on loopback, so whoever the console does not name is local. */
function addressIn(context: Context, forwarder: string | null): string {
  return forwardedAddress((name) => context.req.header(name), forwarder) ?? "127.0.0.1";
}

/** A name that nobody has checked: from the body of a sign-in, else from the header. */
function claimedName(context: Context): string | null {
  const signingIn: unknown = context.get("claimed");
  if (typeof signingIn === "string") return signingIn;
  return /^Bearer ([^:\s]{1,63}):/.exec(context.req.header("authorization") ?? "")?.[1] ?? null;
}

function tooLarge(): never {
  throw new RastroError({
    code: "schema",
    message: `Asking the directory failed: the body is longer than ${LONGEST_BODY} bytes.`,
    expected: `at most ${LONGEST_BODY} bytes`,
  });
}

/** @throws RastroError `schema` for a key that is none of P-256. */
async function certify(authority: Pick<Authority, "issueClient">, name: string, publicKey: string, days: number) {
  try {
    return await authority.issueClient(name, Buffer.from(publicKey, "base64"), days);
  } catch (cause) {
    const message = `Issuing a certificate for ${name} failed: the public key is not of the curve P-256.`;
    throw new RastroError(
      { code: "schema", message, field: "publicKey", expected: "SubjectPublicKeyInfo of P-256" },
      { cause },
    );
  }
}

function noAuthority(): RastroError {
  return new RastroError({ code: "not_allowed", message: "Issuing a certificate failed: this hub has no authority." });
}
