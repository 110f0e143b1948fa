import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { ConnectionGate } from "./connection-gate.ts";
import { forwardedAddress } from "./forwarded-address.ts";
import { listenOn } from "./listen-on.ts";
import { WebSocketConnection } from "./websocket-connection.ts";

/** The subprotocol of MQTT 3.1.1 over WebSocket [MQTT-6.0.0-3]. */
const SUBPROTOCOL = "mqtt";
const PATHS = new Set(["/", "/mqtt"]);
/** RFC 6455 §7.4.1, by the IANA registry: the server is overloaded. */
const TRY_AGAIN_LATER = 1013;
/** How often connections whose handshake is late are looked for, in the time that it has. */
const LOOKS = 5;

export interface WebSocketPort {
  readonly port: number;
  listening(): boolean;
  close(): Promise<void>;
}

/**
 * Listens for MQTT over WebSocket. A handshake without the subprotocol `mqtt`, on another path, or from a page of
 * another origin is refused.
 *
 * The address of a connection is that of its socket, or the one that the console names ({@link forwardedAddress}).
 *
 * @param o.firstMessageBytes - the longest WebSocket message until {@link WebSocketConnection.limitMessages}.
 * @throws RastroError `port_taken`.
 */
export async function startWebSocketPort(o: {
  host: string;
  port: number;
  firstMessageBytes: number;
  /** Time for the request of the handshake to be in. */
  handshakeMs: number;
  gate: Pick<ConnectionGate, "enter" | "becomes">;
  /** The secret by which the console is known; null where none is believed. */
  forwarder: string | null;
  handle: (connection: WebSocketConnection) => void;
}): Promise<WebSocketPort> {
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    perMessageDeflate: false,
    maxPayload: o.firstMessageBytes,
    handleProtocols: () => SUBPROTOCOL,
  });
  const server = createServer(
    {
      headersTimeout: o.handshakeMs,
      requestTimeout: o.handshakeMs,
      connectionsCheckingInterval: o.handshakeMs / LOOKS,
    },
    (_request, response) => {
      response.writeHead(426, { upgrade: "websocket", connection: "close", "content-type": "text/plain" });
      response.end("MQTT over WebSocket: ask with the subprotocol mqtt.\n");
    },
  );
  server.on("connection", (socket) => o.gate.enter(socket, socket.remoteAddress ?? ""));
  server.on("upgrade", (request, socket: Duplex, head) => {
    socket.on("error", () => socket.destroy());
    const refusal = refusalOf(request);
    if (refusal !== null) {
      socket.end(`HTTP/1.1 ${refusal}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const address = addressOf(request, o.forwarder);
      const connection = new WebSocketConnection(webSocket, address);
      if (o.gate.becomes(socket, connection, address)) o.handle(connection);
      else webSocket.close(TRY_AGAIN_LATER);
    });
  });
  const port = await listenOn(server, { host: o.host, port: o.port, variable: "RASTRO_WS_PORT" });
  return {
    port,
    listening: () => server.listening,
    close: () => close(server, webSockets),
  };
}

function close(server: Server, webSockets: WebSocketServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const client of webSockets.clients) client.terminate();
    server.closeAllConnections();
  });
}

/** @returns the HTTP status of a refusal, else null. */
function refusalOf(request: IncomingMessage): string | null {
  const { pathname } = new URL(request.url ?? "/", "http://hub");
  if (!PATHS.has(pathname)) return "404 Not Found";
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  if (!offered.includes(SUBPROTOCOL)) return "400 Bad Request";
  // A browser names the page that asks; programs name none.
  const { origin, host } = request.headers;
  if (origin !== undefined && !isSameOrigin(origin, host)) return "403 Forbidden";
  return null;
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}

function addressOf(request: IncomingMessage, forwarder: string | null): string {
  const header = (name: string) => {
    const value = request.headers[name];
    return typeof value === "string" ? value : undefined;
  };
  return forwardedAddress(header, forwarder) ?? request.socket.remoteAddress ?? "";
}
