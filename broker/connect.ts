import type { AedesOptions, AuthenticateError, Client, ConnectPacket } from "aedes";
import type { Logger } from "pino";
import type { ErrorCode } from "../lib/contracts/errors.ts";
import type { Principal } from "../lib/contracts/directory.ts";
import { Segment } from "../lib/contracts/names.ts";
import type { AedesClient } from "./aedes-internals.ts";
import type { OnAccess } from "./access-events.ts";
import { type Access, accessOf } from "./access.ts";
import { certifiedName } from "./tls/tls-listener.ts";
import type { Authenticator, Verdict } from "./admission.ts";

/** Return codes of CONNACK, MQTT 3.1.1 §3.2.2.3. */
const RETURN_CODE = { protocol: 1, identifier: 2, unavailable: 3, credentials: 4, notAuthorized: 5 };
const LONGEST_CLIENT_ID = 256;

type Refusal = { returnCode: number; code: ErrorCode; detail: string };

const REFUSED: Record<Extract<Verdict, { refused: string }>["refused"], Refusal> = {
  bad_credentials: { returnCode: RETURN_CODE.credentials, code: "bad_credentials", detail: "user name and password" },
  locked_out: { returnCode: RETURN_CODE.notAuthorized, code: "locked_out", detail: "too many failures" },
  busy: { returnCode: RETURN_CODE.unavailable, code: "busy", detail: "too many sign-ins at once" },
};

const FAULT: Refusal = { returnCode: RETURN_CODE.unavailable, code: "internal", detail: "a fault inside the hub" };

type AuthenticateDone = Parameters<NonNullable<AedesOptions["authenticate"]>>[3];

/** Makes Aedes's two hooks around CONNECT. */
export function connectHooks(o: {
  authenticator: Authenticator;
  /** Called for each connection before anything is known of it. */
  prepare: (client: AedesClient) => void;
  /** Whether there is a place for somebody who has signed in; says why not. */
  placeFor: (client: AedesClient, principal: Principal) => string | null;
  admitted: (client: Client, access: Access, session: string | null) => void;
  onAccess: OnAccess;
  random: (bytes: number) => Buffer;
  log: Logger;
}): Required<Pick<AedesOptions, "preConnect" | "authenticate">> {
  return {
    preConnect(client, packet, done) {
      o.prepare(client as AedesClient);
      const certified = certifiedName((client as AedesClient).conn);
      if (typeof certified === "object") packet.username ??= certified.name;
      const refusal = certificateRefusal(certified, packet) ?? refusalOf(packet);
      if (refusal !== null) {
        const user = nameOf(packet.username);
        const { code, detail: subject } = refusal;
        o.onAccess({ kind: "connection-refused", user, address: addressOf(client), code, subject });
        return refuse(client, refusal, (error) => done(error, false));
      }
      // Only the user name is identity: two users may use the same client id, and nobody takes another's session over.
      packet.clientId = `${packet.username}:${packet.clientId || o.random(12).toString("hex")}`;
      done(null, true);
    },

    authenticate(client, username, password, done) {
      void answer(client, username ?? "", password?.toString("utf8") ?? "", done);
    },
  };

  async function answer(client: Client, user: string, password: string, done: AuthenticateDone): Promise<void> {
    const refusal = await admit(client, user, password).catch((error: unknown) => {
      o.log.error({ err: error, user }, "a sign-in failed for a reason inside the hub");
      return FAULT;
    });
    if (refusal === null) done(null, true);
    else done(withReturnCode(refusal), false);
  }

  async function admit(client: Client, user: string, password: string): Promise<Refusal | null> {
    const address = addressOf(client);
    const said = certifiedName((client as AedesClient).conn);
    const certified = typeof said === "object";
    const verdict = certified
      ? o.authenticator.certified({ user, issuedAt: said.issuedAt, address })
      : await o.authenticator.authenticate({ user, password, address });
    if ("refused" in verdict) {
      const refusal = REFUSED[verdict.refused];
      o.onAccess({ kind: "sign-in-refused", user, address, code: refusal.code, subject: null });
      return refusal;
    }
    const full = o.placeFor(client as AedesClient, verdict.principal);
    if (full !== null) {
      o.onAccess({ kind: "connection-refused", user, address, code: "busy", subject: full });
      return { returnCode: RETURN_CODE.unavailable, code: "busy", detail: full };
    }
    const access = accessOf(verdict.principal);
    const will = (client as AedesClient)._will;
    if (will && !access.mayPublish(will.topic)) {
      o.onAccess({ kind: "connection-refused", user, address, code: "not_allowed", subject: will.topic });
      return { returnCode: RETURN_CODE.notAuthorized, code: "not_allowed", detail: `will on ${will.topic}` };
    }
    o.admitted(client, access, verdict.session);
    const by = certified ? "key" : signedInBy(verdict);
    o.onAccess({ kind: "admitted", user, address, code: null, subject: client.id, by });
    return null;
  }
}

function signedInBy({ principal, session }: Extract<Verdict, { principal: unknown }>) {
  if (principal.kind !== "person") return "key" as const;
  return session === null ? ("password" as const) : ("session" as const);
}

/** The peer's address; empty when the connection is gone already. */
export function addressOf(client: Client): string {
  return (client.conn as { remoteAddress?: string }).remoteAddress ?? "";
}

/** A certificate signs in whom it was issued for, and nobody else; one that is not good is no reason to look at a password. */
function certificateRefusal(certified: ReturnType<typeof certifiedName>, packet: ConnectPacket): Refusal | null {
  if (certified === "none") return null;
  if (certified !== "invalid" && packet.username === certified.name) return null;
  const detail = certified === "invalid" ? "a client certificate that is not good" : "a certificate of another name";
  return { returnCode: RETURN_CODE.credentials, code: "bad_credentials", detail };
}

function refusalOf(packet: ConnectPacket): Refusal | null {
  // MQTT 3.1 and 5 are refused alike: one protocol, tested, is what the hub promises.
  if (packet.protocolVersion !== 4) {
    return { returnCode: RETURN_CODE.protocol, code: "schema", detail: `protocol level ${packet.protocolVersion}` };
  }
  if (!Segment.safeParse(packet.username).success) {
    return { returnCode: RETURN_CODE.credentials, code: "bad_credentials", detail: "no usable user name" };
  }
  // [MQTT-3.1.3-8]
  if (packet.clientId === "" && packet.clean !== true) {
    return { returnCode: RETURN_CODE.identifier, code: "schema", detail: "no client id for a persistent session" };
  }
  if (packet.clientId.length > LONGEST_CLIENT_ID) {
    return { returnCode: RETURN_CODE.identifier, code: "schema", detail: `client id over ${LONGEST_CLIENT_ID}` };
  }
  return null;
}

function nameOf(username: string | undefined): string | null {
  return Segment.safeParse(username).success ? (username ?? null) : null;
}

/** Writes CONNACK itself: before authentication Aedes answers a refusal by closing only. */
function refuse(client: Client, refusal: Refusal, done: (error: Error) => void): void {
  const connack = Buffer.from([0x20, 2, 0, refusal.returnCode]);
  client.conn.write(connack, () => done(withReturnCode(refusal)));
}

function withReturnCode({ returnCode, detail }: Refusal): AuthenticateError {
  // Aedes types the code as a const enum, which type stripping cannot resolve.
  const error: unknown = Object.assign(new Error(`connection refused: ${detail}`), { returnCode });
  return error as AuthenticateError;
}
