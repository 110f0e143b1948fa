import { createServer, isIPv4, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { reachable } from "../lib/runtime/settings.ts";
import type { ConnectionGate } from "./connection-gate.ts";
import { FIRST_MESSAGE_BYTES } from "./connections.ts";
import { listenOn } from "./listen-on.ts";
import { startTlsListener, type TlsIdentity } from "./tls/tls-listener.ts";
import { startWebSocketPort } from "./websocket-server.ts";

/** Where a hub listens. */
export type PortOptions = {
  /** Where the plain ports are. */
  host: string;
  /** MQTT over TLS, on a port of its own; none unless told. */
  tls?: { host: string; port: number; identity: TlsIdentity };
  /** 0 for any free port. */
  port: number;
  /** Port of MQTT over WebSocket, 0 for any free one; none unless told. */
  wsPort?: number;
  /** The secret by which the console is known, whose word for an address is believed; nobody's is unless told. */
  forwarder?: string;
};

/** The ports of a hub that listens; `hub.ts` says what each member is. */
export interface Ports {
  readonly url: string;
  readonly port: number;
  readonly wsUrl: string | null;
  readonly wsPort: number | null;
  readonly tlsPort: number | null;
  renewCertificate(identity: TlsIdentity): void;
  listening(): boolean;
  listeningOnWebSocket(): boolean;
  listeningOnTls(): boolean;
  /** Takes no connection on the plain port any more; those that are open stay. */
  shut(): void;
  /** Ends what is still connected and closes every port. After {@link Ports.shut}. */
  close(): Promise<void>;
}

type Doors = {
  gate: ConnectionGate;
  handle: (connection: Duplex) => void;
  handshakeMs: number;
  /** A TLS handshake failed; the fault in short. */
  onTlsFailed: (address: string, fault: string) => void;
};

/**
 * Opens the ports of a hub: MQTT, and where it was told over WebSocket and TLS.
 *
 * @param o.handshakeMs - the time for the handshake of a WebSocket or of TLS.
 * @throws RastroError `port_taken` when another program listens there; those that were open are closed again.
 */
export async function openPorts(o: PortOptions & Doors): Promise<Ports> {
  const { server, sockets } = serve((socket) => {
    if (o.gate.enter(socket, socket.remoteAddress ?? "")) o.handle(socket);
  });
  const port = await listenOn(server, { host: o.host, port: o.port, variable: "RASTRO_MQTT_PORT" });
  const giveUp = (error: unknown) => {
    server.close();
    for (const socket of sockets) socket.destroy();
    throw error;
  };
  const webSocket = await openWebSocket(o).catch(giveUp);
  const tls = await openTls(o).catch(async (error: unknown) => {
    await webSocket?.close();
    return giveUp(error);
  });

  const closed = new Promise<void>((resolve) => {
    server.once("close", resolve);
  });
  return {
    url: `mqtt://${hostInUrl(o.host)}:${port}`,
    port,
    wsUrl: webSocket === null ? null : `ws://${hostInUrl(o.host)}:${webSocket.port}`,
    wsPort: webSocket?.port ?? null,
    tlsPort: tls?.port ?? null,
    renewCertificate: (identity) => tls?.renew(identity),
    listening: () => server.listening,
    listeningOnWebSocket: () => webSocket?.listening() === true,
    listeningOnTls: () => tls?.listening() === true,
    shut: () => void server.close(),
    async close() {
      for (const socket of sockets) socket.destroy();
      await webSocket?.close();
      await tls?.close();
      await closed;
    },
  };
}

async function openTls({ tls, handshakeMs, gate, handle, onTlsFailed }: PortOptions & Doors) {
  if (tls === undefined) return null;
  return startTlsListener({ ...tls, handshakeMs, gate, handle, onFailed: onTlsFailed });
}

async function openWebSocket({ host, wsPort, handshakeMs, gate, forwarder, handle }: PortOptions & Doors) {
  if (wsPort === undefined) return null;
  return startWebSocketPort({
    host,
    port: wsPort,
    firstMessageBytes: FIRST_MESSAGE_BYTES,
    handshakeMs,
    gate,
    forwarder: forwarder ?? null,
    handle,
  });
}

function serve(handle: (socket: Socket) => void): { server: Server; sockets: Set<Socket> } {
  const sockets = new Set<Socket>();
  // Without TCP_NODELAY small packets wait for the peer's delayed acknowledgement: p99 10 ms instead of 1 ms.
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    handle(socket);
  });
  return { server, sockets };
}

function hostInUrl(host: string): string {
  return isIPv4(host) ? reachable(host) : "localhost";
}
