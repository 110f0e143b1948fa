import { randomBytes } from "node:crypto";
import { createServer, isIPv4, type Server, type Socket } from "node:net";
import { Aedes, type Client } from "aedes";
import type { Logger } from "pino";
import { RastroError } from "../lib/contracts/errors.ts";
import { type Access, accessByName } from "./access.ts";
import { type AccessEvent, type HubCounters, newCounters, type OnAccess } from "./access-events.ts";
import type { Authenticator } from "./admission.ts";
import type { AedesBroker } from "./aedes-internals.ts";
import { authorizeHooks } from "./authorize.ts";
import { connectHooks } from "./connect.ts";
import { deliverOnce } from "./deliver-once.ts";
import { queueOnlyReceivable } from "./offline-queue.ts";
import { createPublishOrder, keepRetainedAtOnce, type PublishOrder } from "./publish-order.ts";
import { refusedRequest } from "./refuse-request.ts";
import { publishSystemTopics } from "./system-topics.ts";

const CONNECT_TIMEOUT_MS = 5000;
const SYSTEM_TOPICS_MS = 10_000;

export type HubOptions = {
  /** A loopback address; without TLS the hub listens on no other. */
  host: string;
  /** 0 for any free port. */
  port: number;
  authenticator: Authenticator;
  log: Logger;
  onAccess?: OnAccess;
  /** An Aedes persistence; in memory unless told: retained messages and sessions end with the hub. */
  persistence?: unknown;
  /** Time that a connection has until its CONNECT is in; 5 s unless told. */
  connectTimeoutMs?: number;
  /** How often `$SYS/broker/…` is renewed; 10 s unless told. */
  systemTopicsMs?: number;
  now?: () => number;
  random?: (bytes: number) => Buffer;
};

export interface Hub {
  /** `mqtt://127.0.0.1:1883` */
  readonly url: string;
  readonly port: number;
  readonly counters: HubCounters;
  /** Connections that are admitted now. */
  connected(): number;
  /** Session segments that admitted connections signed in with. */
  sessions(): string[];
  listening(): boolean;
  /** Publishes the wills of what is connected, closes every connection and the port. */
  close(): Promise<void>;
}

/**
 * Starts the hub: an MQTT 3.1.1 broker that admits by `authenticator` and lets everyone do what the permission table says.
 *
 * @throws RastroError `bad_setting` for a host that is not loopback, `port_taken` when another program listens there.
 */
export async function startHub(o: HubOptions): Promise<Hub> {
  refuseOpenHost(o.host);
  const now = o.now ?? Date.now;
  const counters = newCounters();
  const connections = new WeakMap<Client, Connection>();
  const registered = new Set<Client>();
  const accessOfName = accessByName((name) => o.authenticator.principal(name));
  const onAccess = counting(counters, o.onAccess);
  const order = createPublishOrder();

  const aedes: Aedes = new Aedes({
    connectTimeout: o.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    persistence: o.persistence,
    ...connectHooks({
      authenticator: o.authenticator,
      prepare: (client) =>
        deliverOnce(client, aedes.id, (topic) => connections.get(client)?.access.mayReceive(topic) === true),
      admitted: (client, access, session) => {
        connections.set(client, { access, session, order: order.connection() });
      },
      onAccess,
      random: o.random ?? randomBytes,
      log: o.log,
    }),
    ...authorizeHooks({
      connectionOf: (client) => connections.get(client),
      accessOfName,
      order,
      counters,
      onAccess,
      tellRefused: (access, topic) => {
        const answer = refusedRequest(access.principal.name, topic);
        if (answer !== null) publish({ ...answer, qos: 1, retain: false });
      },
    }),
  });
  const publish = (message: { topic: string; payload: string; qos: 0 | 1; retain: boolean }) =>
    aedes.publish({ cmd: "publish", dup: false, ...message }, (error) => {
      if (error) o.log.warn({ err: error, topic: message.topic }, "the hub's own message was not published");
    });
  logFaults(aedes, o.log);
  // Not at the admission: a client that is gone by then is never registered, and nothing tells of its end.
  aedes.on("client", (client) => {
    if (!client.closed) registered.add(client);
  });
  aedes.on("clientDisconnect", (client) => registered.delete(client));

  await aedes.listen();
  const internals = aedes as unknown as AedesBroker;
  order.attach(internals);
  const fault = (error: unknown) => o.log.error({ err: error }, "a retained message was not stored");
  keepRetainedAtOnce(internals.persistence, fault);
  queueOnlyReceivable(internals.persistence, accessOfName);

  const { server, sockets } = serve((socket) => aedes.handle(socket));
  const port = await listen(server, o.host, o.port);
  const stopSystemTopics = publishSystemTopics({
    publish,
    counters,
    connected: () => registered.size,
    persistence: internals.persistence,
    everyMs: o.systemTopicsMs ?? SYSTEM_TOPICS_MS,
    now,
  });
  o.log.info({ host: o.host, port }, "the hub listens");

  return {
    url: `mqtt://${isIPv4(o.host) ? o.host : "localhost"}:${port}`,
    port,
    counters,
    connected: () => registered.size,
    sessions: () => sessionsOf([...registered].map((client) => connections.get(client))),
    listening: () => server.listening,
    async close() {
      stopSystemTopics();
      const serverClosed = new Promise<void>((resolve) => server.close(() => resolve()));
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await serverClosed;
    },
  };
}

type Connection = { access: Access; session: string | null; order: ReturnType<PublishOrder["connection"]> };

function sessionsOf(connections: readonly (Connection | undefined)[]): string[] {
  const sessions = connections.map((connection) => connection?.session ?? null);
  return [...new Set(sessions)].filter((session) => session !== null);
}

function refuseOpenHost(host: string): void {
  if (host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."))) return;
  throw new RastroError({
    code: "bad_setting",
    message: `Listening on ${host} was refused: without TLS the hub listens on loopback only (127.0.0.1).`,
    field: "RASTRO_HOST",
    given: host,
    expected: "127.0.0.1",
  });
}

function counting(counters: HubCounters, next: OnAccess | undefined): OnAccess {
  const column = {
    "sign-in-refused": "signIn",
    "connection-refused": "connection",
    "publish-refused": "publish",
    "subscribe-refused": "subscribe",
  } as const;
  return (event: AccessEvent) => {
    if (event.kind !== "admitted") counters.refused[column[event.kind]] += 1;
    next?.(event);
  };
}

function logFaults(aedes: Aedes, log: Logger): void {
  const detail = (client: Client, error: Error) =>
    log.debug({ client: client.id, err: error }, "a connection ended badly");
  aedes.on("clientError", detail);
  aedes.on("connectionError", detail);
  (aedes as NodeJS.EventEmitter).on("error", (error: Error) =>
    log.error({ err: error }, "the broker reported a fault"),
  );
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

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenProblem(error, host, port)));
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

function listenProblem(cause: NodeJS.ErrnoException, host: string, port: number): Error {
  if (cause.code !== "EADDRINUSE") return cause;
  const message = `Listening on ${host}:${port} failed: another program listens there; stop it or set RASTRO_MQTT_PORT.`;
  return new RastroError(
    { code: "port_taken", message, field: "RASTRO_MQTT_PORT", given: String(port), expected: "a free port" },
    { cause },
  );
}
