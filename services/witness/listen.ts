import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Hono } from "hono";
import { RastroError } from "../../lib/contracts/errors.ts";
import { codeOf } from "../../lib/runtime/new-file.ts";
import type { AskingGate } from "./asking-gate.ts";
import type { WitnessSettings } from "./settings.ts";

/** A request is at most 72 KiB: whoever takes longer holds a connection for its own sake. */
const REQUEST_MS = 10_000;
const HEADERS_MS = 5000;
/** A log asks each second while its book grows, and each minute while not. */
const KEEP_ALIVE_MS = 75_000;

export type Listening = { url: string; close(): Promise<void> };

/**
 * Opens the port where logs ask. What the gate refuses costs no more than an answer, and its connection.
 *
 * @throws RastroError `port_taken`; `bad_setting` for files of TLS that cannot be used.
 */
export async function listen(
  app: Hono,
  o: { host: string; port: number; tls: WitnessSettings["tls"]; gate: AskingGate; requestMs?: number },
): Promise<Listening> {
  const server = createServer(guarded(app, o.gate), o.tls);
  server.on("connection", (socket) => o.gate.enter(socket));
  server.requestTimeout = o.requestMs ?? REQUEST_MS;
  server.headersTimeout = Math.min(HEADERS_MS, server.requestTimeout);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(codeOf(error) === "EADDRINUSE" ? portTaken(o, error) : error));
    server.listen(o.port, o.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const host = o.host.includes(":") ? `[${o.host}]` : o.host;
  return { url: `${o.tls === null ? "http" : "https"}://${host}:${port}`, close: () => close(server) };
}

function guarded(app: Hono, gate: AskingGate): RequestListener {
  const answer = getRequestListener(app.fetch);
  return (request, response) => {
    const refusal = gate.refusalOf(request);
    if (refusal === null) void answer(request, response);
    else refuse(response, refusal);
  };
}

/** Its body is not read, so that the connection is of no more use; a new one is counted. */
function refuse(response: ServerResponse, status: 429 | 503): void {
  const why = status === 429 ? "this address asks too often" : "too much is asked";
  const headers = { "content-type": "text/plain; charset=utf-8", "retry-after": "1", connection: "close" };
  response.writeHead(status, headers).end(`${why}\n`);
}

function createServer(listener: RequestListener, tls: WitnessSettings["tls"]): Server {
  // How often Node looks for requests that are over their time.
  const connectionsCheckingInterval = 1000;
  if (tls === null) return createHttpServer({ connectionsCheckingInterval }, listener);
  try {
    const options = {
      connectionsCheckingInterval,
      cert: readFileSync(tls.certificate),
      key: readFileSync(tls.key),
      minVersion: "TLSv1.2" as const,
    };
    return createHttpsServer(options, listener);
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
