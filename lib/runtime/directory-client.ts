import { z } from "zod";
import { BackupReport, BackupRow } from "../contracts/backup.ts";
import {
  type BackupRequest,
  type BackupVerifyRequest,
  CertificateIssued,
  type CertificateRequest,
  HubTime,
  type MachineActiveRequest,
  MachineAdded,
  type MachineAddRequest,
  type PasswordRequest,
  PersonKey,
  Principal,
  type ServiceKeyRequest,
  Session,
  type SessionEndRequest,
  SessionOwner,
  SessionRow,
  SessionsEnded,
  type SetupRequest,
  type SignInRequest,
  type SpeaksForRequest,
  SpeaksForSet,
  STANDBY,
  type UserAddRequest,
  type UserProfileRequest,
  UserRow,
} from "../contracts/directory.ts";
import { Problem, RastroError } from "../contracts/errors.ts";
import { Erased, type EraseRequest, PersonData } from "../contracts/privacy.ts";
import { parseJson } from "../contracts/parse.ts";

/** Who asks: a person with a session's token, or a service with a signed token. */
export type Bearer = { name: string; token: string };

export type DirectoryClient = ReturnType<typeof createDirectoryClient>;

/** As long as three stores may take to be written anew, ms. */
const ERASURE_TIMEOUT_MS = 5 * 60_000;

type Ask = { method: string; path: string; bearer?: Bearer; body?: unknown; timeoutMs?: number };

/** A large store takes a while to be written and read back. */
const BACKUP_TIMEOUT_MS = 30 * 60_000;

/**
 * The directory's HTTP interface as functions. Each throws RastroError: what the directory answered, `not_reachable`
 * when nothing listens there, `timeout` when no answer came in time, `malformed` or `schema` when it was none of ours.
 *
 * @param o.url - of the directory, without a path: `http://127.0.0.1:<port>`.
 * @param o.timeoutMs - 10 seconds when left out.
 */
export function createDirectoryClient(o: { url: string; fetch?: typeof globalThis.fetch; timeoutMs?: number }) {
  const exchange = createExchange({ url: o.url, fetch: o.fetch ?? globalThis.fetch, timeoutMs: o.timeoutMs ?? 10_000 });

  async function ask<S extends z.ZodType>(schema: S, request: Ask): Promise<z.infer<S>> {
    return parseJson(schema, await exchange(request), `the answer of ${request.method} ${request.path}`);
  }
  async function tell(request: Ask): Promise<void> {
    await exchange(request);
  }

  return {
    signIn: (body: z.input<typeof SignInRequest>): Promise<Session> =>
      ask(Session, { method: "POST", path: "/directory/sessions", body }),
    /** With the hub's local key, which is good on loopback only. */
    signInLocal: (localKey: string, app: string): Promise<Session> =>
      ask(Session, { method: "POST", path: "/directory/sessions", body: { localKey, app } }),
    /** Whose session it is; `bad_credentials` once it has ended. */
    sessionOwner: (bearer: Bearer): Promise<SessionOwner> =>
      ask(SessionOwner, { method: "GET", path: "/directory/sessions/current", bearer }),
    signOut: (bearer: Bearer): Promise<void> => tell({ method: "DELETE", path: "/directory/sessions/current", bearer }),
    setup: (body: z.input<typeof SetupRequest>): Promise<void> =>
      tell({ method: "POST", path: "/directory/setup", body }),
    time: (): Promise<z.infer<typeof HubTime>> => ask(HubTime, { method: "GET", path: "/directory/time" }),
    userAdd: (bearer: Bearer, body: z.input<typeof UserAddRequest>): Promise<UserRow> =>
      ask(UserRow, { method: "POST", path: "/directory/users", bearer, body }),
    userList: (bearer: Bearer): Promise<UserRow[]> =>
      ask(z.array(UserRow), { method: "GET", path: "/directory/users", bearer }),
    passwd: (bearer: Bearer, name: string, body: z.input<typeof PasswordRequest>): Promise<void> =>
      tell({ method: "PUT", path: `/directory/users/${encodeURIComponent(name)}/password`, bearer, body }),
    /** Locks a person out, or takes the lock away. */
    setUserActive: (bearer: Bearer, name: string, active: boolean): Promise<void> =>
      tell({ method: "PUT", path: `/directory/users/${encodeURIComponent(name)}/active`, bearer, body: { active } }),
    setProfile: (bearer: Bearer, name: string, body: z.input<typeof UserProfileRequest>): Promise<void> =>
      tell({ method: "PUT", path: `/directory/users/${encodeURIComponent(name)}/profile`, bearer, body }),
    /** @param user - only this person's; null for all that one may see. */
    sessionList: (bearer: Bearer, user: string | null): Promise<SessionRow[]> => {
      const query = user === null ? "" : `?user=${encodeURIComponent(user)}`;
      return ask(z.array(SessionRow), { method: "GET", path: `/directory/open-sessions${query}`, bearer });
    },
    sessionEnd: (bearer: Bearer, body: z.input<typeof SessionEndRequest>): Promise<z.infer<typeof SessionsEnded>> =>
      ask(SessionsEnded, { method: "POST", path: "/directory/open-sessions/end", bearer, body }),
    machineRevoke: (bearer: Bearer, id: string): Promise<void> => {
      const body: z.input<typeof MachineActiveRequest> = { active: false };
      return tell({ method: "PUT", path: `/directory/machines/${encodeURIComponent(id)}/active`, bearer, body });
    },
    /** @param publicKey - another key than before; null for the same, or for a new secret. */
    machineReadmit: (bearer: Bearer, id: string, publicKey: string | null): Promise<z.infer<typeof MachineAdded>> => {
      const body: z.input<typeof MachineActiveRequest> = { active: true, publicKey };
      return ask(MachineAdded, {
        method: "PUT",
        path: `/directory/machines/${encodeURIComponent(id)}/active`,
        bearer,
        body,
      });
    },
    machineAdd: (bearer: Bearer, body: z.input<typeof MachineAddRequest>): Promise<z.infer<typeof MachineAdded>> =>
      ask(MachineAdded, { method: "POST", path: "/directory/machines", bearer, body }),
    /** Every machine as the register has it now. */
    machineList: (bearer: Bearer): Promise<Principal[]> =>
      ask(z.array(Principal), { method: "GET", path: "/directory/machines", bearer }),
    speaksFor: (
      bearer: Bearer,
      id: string,
      body: z.input<typeof SpeaksForRequest>,
    ): Promise<z.infer<typeof SpeaksForSet>> =>
      ask(SpeaksForSet, {
        method: "PUT",
        path: `/directory/machines/${encodeURIComponent(id)}/speaks-for`,
        bearer,
        body,
      }),
    /** Registers the standby with this key, or gives it another. */
    admitStandby: (bearer: Bearer, body: z.input<typeof ServiceKeyRequest>): Promise<void> =>
      tell({ method: "PUT", path: `/directory/services/${STANDBY}/key`, bearer, body }),
    /** Lets the standby in no more. */
    revokeStandby: (bearer: Bearer): Promise<void> =>
      tell({ method: "DELETE", path: `/directory/services/${STANDBY}/key`, bearer }),
    certificateIssue: (
      bearer: Bearer,
      body: z.input<typeof CertificateRequest>,
    ): Promise<z.infer<typeof CertificateIssued>> =>
      ask(CertificateIssued, { method: "POST", path: "/directory/certificates", bearer, body }),
    /** Backups of the hub's own stores, newest first. */
    backupList: (bearer: Bearer): Promise<BackupRow[]> =>
      ask(z.array(BackupRow), { method: "GET", path: "/directory/backups", bearer }),
    backupCreate: (bearer: Bearer, body: z.input<typeof BackupRequest>): Promise<BackupReport> =>
      ask(BackupReport, { method: "POST", path: "/directory/backups", bearer, body, timeoutMs: BACKUP_TIMEOUT_MS }),
    backupVerify: (bearer: Bearer, body: z.input<typeof BackupVerifyRequest>): Promise<BackupReport> => {
      const path = "/directory/backups/verify";
      return ask(BackupReport, { method: "POST", path, bearer, body, timeoutMs: BACKUP_TIMEOUT_MS });
    },
    /** @param who - name or random id. */
    personData: (bearer: Bearer, who: string): Promise<PersonData> =>
      ask(PersonData, { method: "GET", path: `/directory/people/${encodeURIComponent(who)}/data`, bearer }),
    /** Resolves when it is done: three stores are written anew. @param who - name or random id. */
    personErase: (bearer: Bearer, who: string, body: z.input<typeof EraseRequest>): Promise<z.infer<typeof Erased>> => {
      const path = `/directory/people/${encodeURIComponent(who)}/erase`;
      return ask(Erased, { method: "POST", path, bearer, body, timeoutMs: ERASURE_TIMEOUT_MS });
    },
    personKey: (bearer: Bearer, sub: string): Promise<z.infer<typeof PersonKey>> =>
      ask(PersonKey, { method: "GET", path: `/directory/people/${encodeURIComponent(sub)}/key`, bearer }),
  };
}

function createExchange(o: { url: string; fetch: typeof globalThis.fetch; timeoutMs: number }) {
  return async (request: Ask): Promise<string> => {
    const what = `${request.method} ${o.url}${request.path}`;
    const { ok, status, text } = await send(o, request, what);
    if (ok) return text;
    throw refusalOf(what, status, text);
  };
}

async function send(o: { url: string; fetch: typeof globalThis.fetch; timeoutMs: number }, request: Ask, what: string) {
  const timeoutMs = request.timeoutMs ?? o.timeoutMs;
  try {
    const response = await o.fetch(`${o.url}${request.path}`, {
      method: request.method,
      headers: headersOf(request),
      signal: AbortSignal.timeout(timeoutMs),
      // A redirect would carry the bearer's token to wherever it points.
      redirect: "error",
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    });
    return { ok: response.ok, status: response.status, text: await response.text() };
  } catch (cause) {
    const late = cause instanceof Error && cause.name === "TimeoutError";
    throw new RastroError(
      late
        ? { code: "timeout", message: `Asking the directory (${what}) failed: no answer within ${timeoutMs} ms.` }
        : {
            code: "not_reachable",
            message: `Asking the directory (${what}) failed: nothing answers there; start Rastro first.`,
          },
      { cause },
    );
  }
}

function headersOf(request: Ask): Record<string, string> {
  return {
    ...(request.body === undefined ? {} : { "content-type": "application/json" }),
    ...(request.bearer ? { authorization: `Bearer ${request.bearer.name}:${request.bearer.token}` } : {}),
  };
}

function refusalOf(what: string, status: number, text: string): RastroError {
  try {
    return new RastroError(parseJson(Problem, text, what));
  } catch {
    return new RastroError({
      code: "internal",
      message: `Asking the directory (${what}) failed with HTTP status ${status}.`,
    });
  }
}
