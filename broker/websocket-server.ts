import { createServer, type IncomingMessage, type Server } from "node:http";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { listenOn } from "./listen-on.ts";
import { WebSocketConnection } from "./websocket-connection.ts";

/** The subprotocol of MQTT 3.1.1 over WebSocket [MQTT-6.0.0-3]. */
const SUBPROTOCOL = "mqtt";
const PATHS = new Set(["/", "/mqtt"]);
/** Time for the request of the handshake to be in. */
const HANDSHAKE_MS = 5000;

export interface WebSocketPort {
  readonly port: number;
  listening(): boolean;
  close(): Promise<void>;
}

/**
 * Listens for MQTT over WebSocket. A handshake without the subprotocol `mqtt`, on another path, or from a page of
 * another origin is refused.
 *
 * The address of a connection is the last of `x-forwarded-for` when there is one: the port is on loopback, and who
 * forwards to it is the console.
 *
 * @param o.firstMessageBytes - the longest WebSocket message until {@link WebSocketConnection.limitMessages}.
 * @throws RastroError `port_taken`.
 */
export async function startWebSocketPort(o: {
  host: string;
  port: number;
  firstMessageBytes: number;
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
    { headersTimeout: HANDSHAKE_MS, requestTimeout: HANDSHAKE_MS, connectionsCheckingInterval: HANDSHAKE_MS / 5 },
    (_request, response) => {
      response.writeHead(426, { upgrade: "websocket", connection: "close", "content-type": "text/plain" });
      response.end("MQTT over WebSocket: ask with the subprotocol mqtt.\n");
    },
  );
  server.on("upgrade", (request, socket: Duplex, head) => {
    socket.on("error", () => socket.destroy());
    const refusal = refusalOf(request);
    if (refusal !== null) {
      socket.end(`HTTP/1.1 ${refusal}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      o.handle(new WebSocketConnection(webSocket, addressOf(request)));
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

function addressOf(request: IncomingMessage): string {
  const forwarded = request.headers["x-forwarded-for"];
  const last = typeof forwarded === "string" ? (forwarded.split(",").at(-1)?.trim() ?? "") : "";
  return isIP(last) === 0 ? (request.socket.remoteAddress ?? "") : last;
}
