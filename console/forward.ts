import { getConnInfo } from "@hono/node-server/conninfo";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Problem } from "../lib/contracts/errors.ts";
import { FORWARDED_BY } from "../lib/runtime/secret-file.ts";

/** The directory's requests are small; what is larger is none. */
const LARGEST_BODY = 64 * 1024;
const TIMEOUT_MS = 15_000;
const REQUEST_HEADERS = ["authorization", "content-type", "accept", "user-agent"];
const RESPONSE_HEADERS = ["content-type", "retry-after", "www-authenticate", "cache-control"];

/**
 * Routes that hand `/directory/*` on to the directory, inside the broker's process. `x-forwarded-for` carries the
 * address that really called, whatever the caller wrote there; with it the directory refuses the hub's local key.
 *
 * @param o.directoryUrl - where the directory listens at this moment; null while there is none.
 */
export function forwardDirectory(o: {
  directoryUrl: () => string | null;
  /** Shows the directory that it is the console that names an address. */
  forwarder: string;
  fetch: typeof globalThis.fetch;
}): Hono {
  const routes = new Hono();
  routes.use("/directory/*", bodyLimit({ maxSize: LARGEST_BODY, onError: tooLarge }));
  routes.all("/directory/*", async (context) => {
    const base = o.directoryUrl();
    if (base === null) return unreachable(context);
    try {
      return handBack(await o.fetch(targetOf(base, context.req.url), requestOf(context, o.forwarder)));
    } catch {
      return unreachable(context);
    }
  });
  return routes;
}

function targetOf(base: string, asked: string): URL {
  const { pathname, search } = new URL(asked);
  return new URL(`${pathname}${search}`, base);
}

function requestOf(context: Context, forwarder: string): RequestInit {
  const headers = pick(context.req.raw.headers, REQUEST_HEADERS);
  headers.set("x-forwarded-for", getConnInfo(context).remote.address ?? "unknown");
  headers.set(FORWARDED_BY, forwarder);
  const body = context.req.raw.body;
  return {
    method: context.req.method,
    headers,
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    // A body that is a stream has to be sent half-duplex (Fetch standard, "RequestInit").
    ...(body === null ? {} : { body, duplex: "half" }),
  };
}

function handBack(answer: Response): Response {
  return new Response(answer.body, { status: answer.status, headers: pick(answer.headers, RESPONSE_HEADERS) });
}

function pick(headers: Headers, names: readonly string[]): Headers {
  const picked = new Headers();
  for (const name of names) {
    const value = headers.get(name);
    if (value !== null) picked.set(name, value);
  }
  return picked;
}

function tooLarge(context: Context): Response {
  const problem: Problem = {
    code: "schema",
    message: `Reading the request failed: its body is larger than ${LARGEST_BODY / 1024} KiB.`,
    field: "(whole)",
    expected: `at most ${LARGEST_BODY} bytes`,
  };
  return context.json(problem, 413);
}

function unreachable(context: Context): Response {
  const problem: Problem = {
    code: "not_reachable",
    message: "Asking the directory failed: the hub's broker process does not answer; see /readyz.",
  };
  return context.json(problem, 503);
}
