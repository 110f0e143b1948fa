import type { Context } from "hono";
import { LOCAL_ADMIN, type Principal } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { admittedOrThrow, type Directory } from "./directory.ts";
import type { By } from "./drafts.ts";
import { isToken } from "./secrets.ts";

/* Who asks the directory over HTTP. */

/** `session` is the segment of a person's own session. */
export type Caller = { principal: Principal; by: By; session: string | null };

/** Reads `Authorization: Bearer <name>:<token>`: a session's token for people, a signed one for services. */
export async function callerOf(directory: Directory, context: Context, address: string): Promise<Caller> {
  const [, user, token] = /^Bearer ([^:\s]+):(\S+)$/.exec(context.req.header("authorization") ?? "") ?? [];
  if (user === undefined || token === undefined) throw badBearer();
  const registered = directory.register.principal(user);
  // A password in a header would be a second way to sign in, without a session to end.
  if (registered?.kind === "person" && !isToken(token)) throw badBearer();
  const credentials = { user, password: token, address };
  const { principal, session } = admittedOrThrow(await directory.credentials.authenticate(credentials));
  const auth = principal.kind === "service" ? "service" : principal.name === LOCAL_ADMIN ? "local" : "session";
  return { principal, by: { sub: principal.sub, auth }, session };
}

/** @throws RastroError `not_allowed`. */
export function administrator(caller: Caller, action: string): Caller {
  if (caller.principal.profile === "administrator") return caller;
  throw notAllowed(action, caller.principal.name, "an administrator");
}

/** So that the last administrator cannot shut everybody out by a slip. */
export function refuseSelf(caller: Caller, name: string, action: string): void {
  if (name === caller.principal.name) throw notAllowed(action, name, "another administrator");
}

function badBearer(): RastroError {
  return new RastroError({
    code: "bad_credentials",
    message: "Asking the directory failed: the request carries no usable sign-in.",
    field: "authorization",
    expected: "Bearer <name>:<token>",
  });
}

export function notAllowed(action: string, name: string, needed: string): RastroError {
  return new RastroError({
    code: "not_allowed",
    message: `Asking the directory failed: ${action} needs ${needed}; ${name} is none.`,
    given: name,
    expected: needed,
  });
}
