import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { RastroError } from "../contracts/errors.ts";
import type { Logger } from "./log.ts";
import { createMetrics, type Metrics, METRICS_TYPE } from "./metrics.ts";
import { codeOf } from "./new-file.ts";

/** True when the part works, else one sentence that says why not. */
export type Check = () => true | string;

/** `alarms` are what an operator should know of while everything still works. */
export type Readiness = { ready: boolean; name: string; checks: Record<string, true | string>; alarms: string[] };

export type Health = {
  /** Where the server listens: `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** Adds routes of the process's own, at any time; they are reached at their own paths. */
  mount(routes: Hono): void;
  /** Adds or replaces what `/readyz` asks. */
  check(name: string, check: Check): void;
  /** Says which alarms are raised, a sentence each. */
  showAlarms(raised: () => string[]): void;
  /** The figures of the process, at `/metrics`. */
  readonly metrics: Metrics;
  readiness(): Readiness;
  close(): Promise<void>;
};

const LOOPBACK_HOST = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/;

/**
 * Starts the health server of a process, on loopback: `/healthz` says that the process runs, `/readyz` (200 or 503)
 * whether every check holds, `/metrics` the figures of the process for Prometheus. Requests that name another host are refused, so that no page can reach it by a DNS name
 * of its own that resolves to loopback.
 *
 * @param o.port - 0 or left out: any free port.
 * @throws RastroError `port_taken`.
 */
export async function startHealth(o: { name: string; log: Logger; port?: number; routes?: Hono }): Promise<Health> {
  const checks = new Map<string, Check>();
  const metrics = createMetrics(o.name);
  let alarms: () => string[] = () => [];
  const readiness = () => ask(o.name, checks, alarms());
  const mounted: Hono[] = o.routes ? [o.routes] : [];
  const build = () => createApplication({ name: o.name, log: o.log, readiness, metrics, mounted });
  // Hono takes no route once it has served a request, and health is asked before a process has mounted its own.
  let app = build();
  const server = createAdaptorServer({ fetch: (request, env) => app.fetch(request, env) }) as Server;
  const port = await listen(server, o.port ?? 0);
  return {
    url: `http://127.0.0.1:${port}`,
    mount(routes) {
      mounted.push(routes);
      app = build();
    },
    check: (name, check) => void checks.set(name, check),
    showAlarms: (raised) => {
      alarms = raised;
    },
    metrics,
    readiness,
    close: () => close(server),
  };
}

function createApplication(o: {
  name: string;
  log: Logger;
  readiness: () => Readiness;
  metrics: Metrics;
  mounted: readonly Hono[];
}): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    if (LOOPBACK_HOST.test(context.req.header("host") ?? "")) return next();
    return context.json({ code: "not_allowed", message: "This server answers to 127.0.0.1 and localhost only." }, 403);
  });
  app.get("/healthz", (context) => context.json({ ok: true, name: o.name }));
  app.get("/readyz", (context) => {
    const state = o.readiness();
    return context.json(state, state.ready ? 200 : 503);
  });
  app.get("/metrics", async (context) => context.body(await o.metrics.text(), 200, { "content-type": METRICS_TYPE }));
  app.onError((error, context) => {
    o.log.error({ err: error, path: context.req.path }, "a request of the health server failed");
    return context.json(
      { code: "internal", message: "The request failed; the log of the process has the reason." },
      500,
    );
  });
  for (const routes of o.mounted) app.route("/", routes);
  return app;
}

function ask(name: string, checks: ReadonlyMap<string, Check>, alarms: string[]): Readiness {
  const answers = [...checks].map(([part, check]) => [part, answerOf(check)] as const);
  return { ready: answers.every(([, answer]) => answer === true), name, checks: Object.fromEntries(answers), alarms };
}

function answerOf(check: Check): true | string {
  try {
    return check();
  } catch (error) {
    return `the check itself failed: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(codeOf(error) === "EADDRINUSE" ? portTaken(port, error) : error));
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

function portTaken(port: number, cause: Error): RastroError {
  return new RastroError(
    {
      code: "port_taken",
      message: `Listening on 127.0.0.1:${port} failed: another program has the port; stop it or set RASTRO_HEALTH_PORT to another one.`,
      field: "RASTRO_HEALTH_PORT",
      given: String(port),
      expected: "a free port",
    },
    { cause },
  );
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
