import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import { RastroError } from "../../lib/contracts/errors.ts";
import { codeOf } from "../../lib/runtime/new-file.ts";
import type { WitnessSettings } from "./settings.ts";

/** A request is at most 72 KiB: whoever takes longer holds a connection for its own sake. */
const REQUEST_MS = 10_000;
const HEADERS_MS = 5000;
/** A log asks each second while its book grows, and each minute while not. */
const KEEP_ALIVE_MS = 75_000;
const CONNECTIONS_MAXIMUM = 512;

export type Listening = { url: string; close(): Promise<void> };

/**
 * Opens the port where logs ask.
 *
 * @throws RastroError `port_taken`; `bad_setting` for files of TLS that cannot be used.
 */
export async function listen(
  app: Hono,
  o: { host: string; port: number; tls: WitnessSettings["tls"]; requestMs?: number },
): Promise<Listening> {
  const server = createServer(app, o.tls);
  server.requestTimeout = o.requestMs ?? REQUEST_MS;
  server.headersTimeout = Math.min(HEADERS_MS, server.requestTimeout);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.maxConnections = CONNECTIONS_MAXIMUM;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(codeOf(error) === "EADDRINUSE" ? portTaken(o, error) : error));
    server.listen(o.port, o.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const host = o.host.includes(":") ? `[${o.host}]` : o.host;
  return { url: `${o.tls === null ? "http" : "https"}://${host}:${port}`, close: () => close(server) };
}

function createServer(app: Hono, tls: WitnessSettings["tls"]): Server {
  // How often Node looks for requests that are over their time.
  const connectionsCheckingInterval = 1000;
  if (tls === null) {
    return createAdaptorServer({ fetch: app.fetch, serverOptions: { connectionsCheckingInterval } }) as Server;
  }
  try {
    const serverOptions = {
      connectionsCheckingInterval,
      cert: readFileSync(tls.certificate),
      key: readFileSync(tls.key),
      minVersion: "TLSv1.2" as const,
    };
    return createAdaptorServer({ fetch: app.fetch, createServer: createHttpsServer, serverOptions }) as Server;
  } catch (cause) {
    throw badTls(tls, cause);
  }
}

/** Lets what is being answered end, and waits for nobody who asks slowly. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 1000).unref();
  });
}

function portTaken({ host, port }: { host: string; port: number }, cause: unknown): RastroError {
  const message = `Opening port ${port} of ${host} for the witness failed: another program listens there; stop it, or choose another port with RASTRO_WITNESS_PORT.`;
  return new RastroError(
    { code: "port_taken", message, field: "RASTRO_WITNESS_PORT", given: String(port), expected: "a free port" },
    { cause },
  );
}

function badTls({ certificate, key }: { certificate: string; key: string }, cause: unknown): RastroError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RastroError(
    {
      code: "bad_setting",
      message: `Reading ${certificate} and ${key} failed (${why}); RASTRO_WITNESS_CERTIFICATE and RASTRO_WITNESS_KEY name PEM files that fit each other.`,
      field: "RASTRO_WITNESS_CERTIFICATE",
      given: certificate,
      expected: "a certificate and its key, PEM",
    },
    { cause },
  );
}
