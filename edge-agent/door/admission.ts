import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { RastroError } from "../../lib/contracts/errors.ts";

const LOOPBACK_HOST = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/i;

/**
 * Keeps pages of other origins out twice: by the host, if a name of theirs points to loopback, and by the origin, if they
 * ask straight away (decision 10). Other programs on this machine name no origin.
 *
 * @throws RastroError `not_allowed`.
 */
export function onlyFromHere(): MiddlewareHandler {
  return async (context, next) => {
    requireHere(context);
    await next();
  };
}

/**
 * Lets in programs on this machine that can read the door's key, and no page of another origin.
 *
 * @throws RastroError `not_allowed`, `bad_credentials`.
 */
export function admission(key: string): MiddlewareHandler {
  const wanted = digest(`Bearer ${key}`);
  return async (context, next) => {
    requireHere(context);
    if (!timingSafeEqual(digest(context.req.header("authorization") ?? ""), wanted)) {
      throw new RastroError({
        code: "bad_credentials",
        message:
          "Opening the door failed: the key does not fit; expected: Authorization: Bearer <the content of door.key>.",
        field: "Authorization",
        expected: "Bearer and the content of door.key",
      });
    }
    await next();
  };
}

function requireHere(context: Context): void {
  const host = context.req.header("host") ?? "";
  const origin = context.req.header("origin");
  if (!LOOPBACK_HOST.test(host)) throw refused("Host", host, "127.0.0.1 or localhost");
  if (origin !== undefined && origin !== `http://${host}`) throw refused("Origin", origin, "none, or the door's own");
}

function refused(header: string, given: string, expected: string): RastroError {
  return new RastroError({
    code: "not_allowed",
    message: `Opening the door failed: ${header} is ${JSON.stringify(given.slice(0, 80))}; expected: ${expected}.`,
    field: header,
    given: given.slice(0, 80),
    expected,
  });
}

/** Digests have one length, so that comparing takes the same time whatever was given. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
