import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { ConnectionGate } from "../connection-gate.ts";
import { listenOn } from "../listen-on.ts";
import { BACKDATED_MS } from "./authority.ts";

/** What the hub shows, and by whose signature it knows clients; PEM. */
export type TlsIdentity = { key: string; certificate: string; authority: string };

export interface TlsListener {
  readonly port: number;
  listening(): boolean;
  /** Shows another certificate to whoever connects from now on. */
  renew(identity: TlsIdentity): void;
  close(): Promise<void>;
}

/**
 * MQTT over TLS 1.2 and later on a port of its own. A client may show a certificate of the plant's authority, which then
 * signs it in (see {@link certifiedName}); without one it signs in as on the plain port.
 *
 * @param o.handshakeMs - a handshake that takes longer ends its connection.
 * @param o.onFailed - a handshake that failed, with the peer's address and the fault in short.
 * @throws RastroError `port_taken`.
 */
export async function startTlsListener(o: {
  host: string;
  port: number;
  identity: TlsIdentity;
  handshakeMs: number;
  gate: Pick<ConnectionGate, "enter" | "becomes">;
  handle: (socket: TLSSocket) => void;
  onFailed: (address: string, fault: string) => void;
}): Promise<TlsListener> {
  const sockets = new Set<Socket>();
  /** Connections whose handshake goes on, by the peer's address and port. */
  const shaking = new Map<string, Socket>();
  const tls = createTlsServer(
    {
      ...contextOf(o.identity),
      minVersion: "TLSv1.2",
      requestCert: true,
      // Judged when the client signs in, so that it hears why in MQTT's own words and is on record.
      rejectUnauthorized: false,
      handshakeTimeout: o.handshakeMs,
    },
    (socket) => {
      const address = socket.remoteAddress ?? "";
      const raw = take(shaking, keyOf(socket));
      if (raw !== undefined && o.gate.becomes(raw, socket, address)) o.handle(socket);
      else socket.destroy();
    },
  );
  tls.on("tlsClientError", (error: Error & { code?: string }, socket) => {
    take(shaking, keyOf(socket));
    o.onFailed(socket.remoteAddress ?? "", error.code ?? "handshake");
    socket.destroy();
  });
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    const key = keyOf(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      if (shaking.get(key) === socket) shaking.delete(key);
    });
    if (!o.gate.enter(socket, socket.remoteAddress ?? "")) return;
    shaking.set(key, socket);
    tls.emit("connection", socket);
  });
  const port = await listenOn(server, { host: o.host, port: o.port, variable: "RASTRO_MQTTS_PORT" });
  return {
    port,
    listening: () => server.listening,
    renew: (identity) => tls.setSecureContext(contextOf(identity)),
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      return closed;
    },
  };
}

function contextOf({ key, certificate, authority }: TlsIdentity) {
  return { key, cert: certificate, ca: authority };
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ""} ${socket.remotePort ?? 0}`;
}

function take<K, V>(map: Map<K, V>, key: K): V | undefined {
  const value = map.get(key);
  map.delete(key);
  return value;
}

/**
 * What a connection's client certificate says: the name for which the plant's authority issued it, and when, `none` where there
 * is none, `invalid` where it is somebody else's, has ended or does not hold yet.
 */
export function certifiedName(socket: object): { name: string; issuedAt: number } | "none" | "invalid" {
  if (!("getPeerCertificate" in socket)) return "none";
  const tls = socket as TLSSocket;
  const { subject, valid_from: from } = tls.getPeerCertificate() ?? {};
  if (subject === undefined) return "none";
  const name: unknown = subject.CN;
  const issuedAt = Date.parse(from) + BACKDATED_MS;
  return tls.authorized && typeof name === "string" ? { name, issuedAt } : "invalid";
}
