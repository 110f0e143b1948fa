import { Hono } from "hono";
import type { Problem } from "../lib/contracts/errors.ts";
import { type Metrics, METRICS_TYPE } from "../lib/runtime/metrics.ts";
import type { RunFile } from "../lib/runtime/run-files.ts";
import { forwardDirectory } from "./forward.ts";
import { gatherMetrics } from "./gather-metrics.ts";
import { askProcesses } from "./readiness.ts";

/** What the console's server answers to, for people and programs that ask its root. */
const INDEX = {
  name: "rastro",
  offers: {
    "GET /healthz": "200 while this server runs",
    "GET /readyz": "200 when every process of the hub is ready, else 503; lists each one",
    "GET /metrics": "the figures of all processes for Prometheus",
    "/mqtt": "MQTT 3.1.1 over WebSocket, handed on to the hub",
    "/directory/*": "the directory: sessions, set-up, users, machines, time",
  },
} as const;

const NO_WEBSOCKET: Problem = {
  code: "schema",
  message: "Connecting to /mqtt failed: it speaks MQTT over WebSocket only, with the subprotocol mqtt.",
};

/**
 * The console's server: health over all processes and the way to the directory.
 *
 * @param o.runFiles - the run files of the hub's processes at this moment; each names a health server on loopback.
 * @param o.metrics - those of the console itself; `/metrics` joins them with those of all processes.
 * @param o.forwarder - the secret that shows the hub that the console names an address.
 */
export function createConsole(o: {
  runFiles: () => RunFile[];
  forwarder: string;
  metrics: Pick<Metrics, "text">;
  fetch: typeof globalThis.fetch;
}): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    context.header("x-content-type-options", "nosniff");
    if (!context.res.headers.has("cache-control")) context.header("cache-control", "no-store");
  });
  app.get("/", (context) => context.json(INDEX));
  app.get("/healthz", (context) => context.json({ ok: true, name: "console" }));
  app.get("/readyz", async (context) => {
    const state = await askProcesses(o);
    return context.json(state, state.ready ? 200 : 503);
  });
  app.get("/metrics", async (context) => {
    context.header("content-type", METRICS_TYPE);
    return context.body(await gatherMetrics({ ...o, own: o.metrics }));
  });
  app.get("/mqtt", (context) => {
    context.header("upgrade", "websocket");
    return context.json(NO_WEBSOCKET, 426);
  });
  const directoryUrl = () => o.runFiles().find((file) => file.name === "broker")?.url ?? null;
  app.route("/", forwardDirectory({ directoryUrl, forwarder: o.forwarder, fetch: o.fetch }));
  app.notFound((context) =>
    context.json(
      { code: "unknown_operation", message: `Nothing answers to ${context.req.path}; / lists what does.` },
      404,
    ),
  );
  return app;
}
