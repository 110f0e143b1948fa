import { connect } from "node:net";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "../lib/runtime/log.ts";
import { FORWARDED_BY } from "../lib/runtime/secret-file.ts";

const PATH = "/mqtt";
/** Time for the hub to take the connection. */
const CONNECT_MS = 5000;
/** Browsers open one connection a page; what is more at once is no browser. */
const MAXIMUM = 1000;
/** What is passed on of the request, whatever else it says. */
const HEADERS = ["sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol"] as const;

export type ForwardMqttOptions = {
  /** Where the hub's WebSocket port is. */
  hub: { host: string; port: number };
  /** Shows the hub that it is the console that names an address. */
  forwarder: string;
  log: Logger;
  maximum?: number;
};

/**
 * Hands WebSocket connections of `/mqtt` on to the hub: bytes both ways, each end paused while the other cannot take
 * more, both closed when one is. `x-forwarded-for` carries the address that really called.
 *
 * Refused, with an HTTP status: another path (404), a page of another origin (403, RFC 6455 §10.2), a request that is no
 * WebSocket handshake (400), too many at once (503), and while the hub is away (502).
 */
export function forwardMqtt(server: Server, o: ForwardMqttOptions): { close(): void } {
  const open = new Set<Duplex>();
  server.on("upgrade", (request, client: Duplex, head: Buffer) => {
    client.on("error", () => client.destroy());
    const refusal = open.size >= (o.maximum ?? MAXIMUM) ? "503 Service Unavailable" : refusalOf(request);
    if (refusal !== null) {
      refuse(client, refusal);
      return;
    }
    open.add(client);
    client.once("close", () => open.delete(client));
    join({ request, client, head, hub: o.hub, forwarder: o.forwarder, log: o.log });
  });
  return {
    close() {
      for (const client of open) client.destroy();
    },
  };
}

function join(o: {
  request: IncomingMessage;
  client: Duplex;
  head: Buffer;
  hub: { host: string; port: number };
  forwarder: string;
  log: Logger;
}): void {
  const { client } = o;
  const hub = connect({ ...o.hub, noDelay: true });
  hub.setTimeout(CONNECT_MS, () => hub.destroy(new Error("the hub did not answer in time")));
  let joined = false;
  hub.once("connect", () => {
    joined = true;
    hub.setTimeout(0);
    if (client.destroyed) {
      hub.destroy();
      return;
    }
    hub.write(requestHead(o));
    if (o.head.length > 0) hub.write(o.head);
    hub.pipe(client);
    client.pipe(hub);
  });
  hub.on("error", (error) => {
    if (joined) return;
    o.log.warn({ err: error }, "a WebSocket connection was refused: the hub does not answer");
    refuse(client, "502 Bad Gateway");
  });
  hub.once("close", () => {
    if (joined) endSoon(client);
  });
  client.once("close", () => hub.destroy());
}

/** The peer gets what was written before; a peer that does not read is cut off. */
function endSoon(socket: Duplex): void {
  socket.end();
  setTimeout(() => socket.destroy(), CONNECT_MS).unref();
}

function requestHead(o: { request: IncomingMessage; hub: { host: string; port: number }; forwarder: string }): string {
  const { request, hub } = o;
  const given = HEADERS.map((name) => [name, request.headers[name]]).filter(([, value]) => typeof value === "string");
  const lines = [
    `GET ${PATH} HTTP/1.1`,
    `host: ${hub.host}:${hub.port}`,
    "connection: Upgrade",
    "upgrade: websocket",
    `x-forwarded-for: ${request.socket.remoteAddress ?? "unknown"}`,
    `${FORWARDED_BY}: ${o.forwarder}`,
    ...given.map(([name, value]) => `${name}: ${value}`),
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** @returns the status of a refusal, else null. */
function refusalOf(request: IncomingMessage): string | null {
  const { origin, host, upgrade } = request.headers;
  if (new URL(request.url ?? "/", "http://console").pathname !== PATH) return "404 Not Found";
  if (request.method !== "GET" || upgrade?.toLowerCase() !== "websocket") return "400 Bad Request";
  // A browser names the page that asks; programs name none.
  if (origin !== undefined && !isSameOrigin(origin, host)) return "403 Forbidden";
  return null;
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}

function refuse(socket: Duplex, status: string): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  endSoon(socket);
}
