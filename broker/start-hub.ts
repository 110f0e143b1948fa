import { randomBytes } from "node:crypto";
import { createServer, isIPv4, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { Aedes, type Client } from "aedes";
import type { Logger } from "pino";
import type { GivenConnectionLimits } from "../lib/contracts/connection-limits.ts";
import { isStatus } from "../lib/contracts/topics.ts";
import { VIEW_RATES, type ViewRate, viewRateOf, type ViewRates } from "../lib/contracts/view-rates.ts";
import { reachable } from "../lib/runtime/settings.ts";
import { Store } from "../lib/storage/store/store.ts";
import { type Access, accessByName } from "./access.ts";
import { counting, type HubCounters, newCounters, type OnAccess } from "./access-events.ts";
import type { Authenticator } from "./admission.ts";
import type { AedesBroker, AedesClient } from "./aedes-internals.ts";
import { authorizeHooks } from "./authorize.ts";
import { addressOf, connectHooks } from "./connect.ts";
import { type ConnectionGate, createConnectionGate, type Full } from "./connection-gate.ts";
import { connectionLimits, openFilesLimit } from "./connection-limits.ts";
import { connectPersistence, persistenceForAedes } from "./connect-persistence.ts";
import { createConnections, FIRST_MESSAGE_BYTES } from "./connections.ts";
import { connectLane } from "./lane/connect-lane.ts";
import { createStatusLane, type LaneCounters, type StatusLane } from "./lane/status-lane.ts";
import { createLiveConnections, type EndedBecause, type LiveConnection } from "./live-connections.ts";
import { listenOn } from "./listen-on.ts";
import { OUTLET_LIMITS, type OutletLimits } from "./outlet.ts";
import { openPersistence, type Persistence } from "./persistence/persistence.ts";
import { createPublishOrder, type PublishOrder } from "./publish-order.ts";
import { refusedRequest } from "./refuse-request.ts";
import { storedSessions } from "./stored-sessions.ts";
import { createTurn } from "./turn.ts";
import { unregisterTheRightOne } from "./unregister.ts";
import { publishSystemTopics } from "./system-topics.ts";
import { WebSocketConnection } from "./websocket-connection.ts";
import { startTlsListener, type TlsIdentity } from "./tls/tls-listener.ts";
import { startWebSocketPort } from "./websocket-server.ts";

const CONNECT_TIMEOUT_MS = 5000;
const SYSTEM_TOPICS_MS = 10_000;
const MAX_PACKET_BYTES = 256 * 1024;

export type HubOptions = {
  /** Where the plain ports are. */
  host: string;
  /** MQTT over TLS, on a port of its own; none unless told. */
  tls?: { host: string; port: number; identity: TlsIdentity };
  /** 0 for any free port. */
  port: number;
  /** Port of MQTT over WebSocket, 0 for any free one; none unless told. */
  wsPort?: number;
  /** The longest packet that is taken in from somebody who has signed in; 256 KiB unless told. */
  maxPacketBytes?: number;
  /** Whether statuses take the lane beside Aedes (`lane/`); they do unless told. */
  statusLane?: boolean;
  /** How often who looks at statuses gets the newest; {@link VIEW_RATES} unless told. */
  viewRates?: ViewRates;
  /** How many connections are taken at once; what is left out has the presets of connection-limits.ts. */
  connectionLimits?: GivenConnectionLimits;
  /** The secret by which the console is known, whose word for an address is believed; nobody's is unless told. */
  forwarder?: string;
  /** What a connection that does not keep up may cost; see outlet.ts. */
  outletLimits?: Partial<OutletLimits>;
  authenticator: Authenticator;
  log: Logger;
  onAccess?: OnAccess;
  /** Stays the caller's, to be closed after the hub. In memory unless told: retained messages and sessions end with it. */
  persistence?: Persistence;
  /** Time that a connection has until its CONNECT is in, and a WebSocket for its handshake before that; 5 s unless told. */
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
  /** Where MQTT over WebSocket is: `ws://127.0.0.1:8083`; null without it. */
  readonly wsUrl: string | null;
  /** Port of MQTT over TLS; null without it. */
  readonly tlsPort: number | null;
  /** Shows another certificate to whoever connects over TLS from now on. */
  renewCertificate(identity: TlsIdentity): void;
  readonly counters: HubCounters;
  /** Connections that are admitted now. */
  connected(): number;
  /** How many there may be. */
  readonly connectionsTotal: number;
  /** What the status lane did; null when it is switched off. */
  lane(): (LaneCounters & { readersBehind: number }) | null;
  /** Topics with a retained message. */
  retained(): number;
  /** Publishes a retained message of the hub's own at `$SYS/broker/<name>`; an empty one clears it. */
  show(name: string, text: string): void;
  /** Every connection that is admitted now. */
  live(): LiveConnection[];
  /**
   * Ends the connections that `which` picks, before it returns: nothing is taken from them or sent to them after it.
   * Each is a line in the log and an access event with `why`. @returns how many.
   */
  disconnect(which: (connection: LiveConnection) => boolean, why: EndedBecause): number;
  /**
   * Drops what is stored for a name and no longer covered by its rights: subscriptions of persistent sessions, and for
   * a name that is not let in any more all of them with their queues.
   */
  refresh(name: string): Promise<void>;
  listening(): boolean;
  listeningOnWebSocket(): boolean;
  listeningOnTls(): boolean;
  /** Publishes the wills of what is connected, closes every connection and the port. */
  close(): Promise<void>;
}

/**
 * Starts the hub: an MQTT 3.1.1 broker that admits by `authenticator` and lets everyone do what the permission table says.
 *
 * @throws RastroError `port_taken` when another program listens there.
 */
export async function startHub(o: HubOptions): Promise<Hub> {
  const now = o.now ?? Date.now;
  const counters = newCounters();
  const connections = new WeakMap<Client, Connection>();
  const registered = new Set<Client>();
  const accessOfName = accessByName((name) => o.authenticator.principal(name));
  const onAccess = counting(counters, o.onAccess);
  const persistence = o.persistence ?? (await openPersistence({ store: await Store.inMemory() }));
  const order = createPublishOrder({ persistence });
  const turn = createTurn();
  const viewRates = o.viewRates ?? VIEW_RATES;
  let lane: StatusLane | null = null;
  const ends = createConnections({
    brokerId: () => aedes.id,
    isTaken: ({ id }, messageId) => persistence.queueOf(id)?.withId(messageId) !== undefined,
    accessOf: (client) => connections.get(client)?.access,
    turn,
    thins: (client, topic) => connections.get(client)?.viewRate !== "full" && isStatus(topic),
    newest: (topic) => lane?.newest(topic),
    limits: { ...OUTLET_LIMITS, ...o.outletLimits },
    maxPacketBytes: o.maxPacketBytes ?? MAX_PACKET_BYTES,
    counters,
    onAccess,
  });

  const live = createLiveConnections({
    end: (client, _connection, why) => ends.end(client, { kind: "disconnected", code: null, subject: client.id, why }),
  });

  const limits = connectionLimits(o.connectionLimits ?? {}, openFilesLimit);
  const gate = createConnectionGate({
    limits,
    onRefused: (address, full) =>
      onAccess({ kind: "connection-refused", user: null, address, code: "busy", subject: tooMany(full) }),
  });

  const aedes: Aedes = new Aedes({
    connectTimeout: o.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    persistence: persistenceForAedes(persistence),
    ...connectHooks({
      authenticator: o.authenticator,
      prepare: (client) => ends.attach(client),
      placeFor: ({ conn }, principal) => tooMany(gate.admit(conn, principal)),
      admitted: (client, access, session) => {
        const viewRate = viewRateOf(viewRates, access.principal);
        connections.set(client, { access, order: order.connection(), viewRate });
        live.add(client as AedesClient, connectionOf(client as AedesClient, access, session, now()));
        ends.admit(client as AedesClient);
        const before = (aedes as unknown as AedesBroker).clients[client.id];
        if (before === undefined || before.closed) return;
        const user = access.principal.name;
        onAccess({ kind: "taken-over", user, address: addressOf(before), code: null, subject: before.id });
      },
      onAccess,
      random: o.random ?? randomBytes,
      log: o.log,
    }),
    ...authorizeHooks({
      connectionOf: (client) => connections.get(client),
      accessOfName,
      order,
      beforePublish: (client, topic) => lane?.yieldTo(client as AedesClient | null, topic),
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
  watchFaults(aedes, {
    log: o.log,
    onMalformed: (client) => ends.end(client, { kind: "frame-refused", code: "schema", subject: "malformed packet" }),
  });
  // Not at the admission: a client that is gone by then is never registered, and nothing tells of its end.
  aedes.on("client", (client) => {
    if (!client.closed) registered.add(client);
  });
  aedes.on("clientDisconnect", (client) => registered.delete(client));

  await aedes.listen();
  order.attach(aedes as unknown as AedesBroker);
  unregisterTheRightOne(aedes as unknown as AedesBroker);
  const accessOf = (client: AedesClient) => connections.get(client)?.access;
  connectPersistence({ aedes, persistence, accessOfName, accessOf, outletOf: ends.outletOf });
  const stored = storedSessions(persistence);

  if (o.statusLane !== false) {
    lane = createStatusLane({ persistence, turn, hubCounters: counters, monotonic: () => performance.now() });
  }
  const disconnectLane = connectLane({
    aedes,
    lane,
    persistence,
    connectionOf(client) {
      const connection = connections.get(client);
      if (connection === undefined) return undefined;
      const { access, viewRate } = connection;
      return { access, viewRate, mayTake: () => order.isClear(connection.order) };
    },
    outletOf: ends.outletOf,
  });

  persistence.onFault((reason) => {
    if (reason === null) o.log.warn("the session store works again");
    else o.log.error({ reason }, "the session store cannot be written: what has to be stored is not acknowledged");
  });

  const laneCounters = () => (lane === null ? null : { ...lane.counters, readersBehind: lane.readersBehind() });

  const handle = (connection: Duplex) => ends.guard(aedes.handle(connection) as AedesClient);
  const { server, sockets } = serve((socket) => {
    if (gate.enter(socket, socket.remoteAddress ?? "")) handle(socket);
  });
  const port = await listenOn(server, { host: o.host, port: o.port, variable: "RASTRO_MQTT_PORT" });
  const giveUp = async (error: unknown) => {
    server.close();
    await closed(aedes);
    throw error;
  };
  const webSocket = await openWebSocket(o, gate, handle).catch(giveUp);
  const tls = await openTls(o, { gate, handle, onAccess }).catch(async (error: unknown) => {
    await webSocket?.close();
    return giveUp(error);
  });
  const stopSystemTopics = publishSystemTopics({
    publish,
    counters,
    clients: () => [...registered] as AedesClient[],
    persistence,
    viewRates,
    lane: laneCounters,
    everyMs: o.systemTopicsMs ?? SYSTEM_TOPICS_MS,
    now,
  });
  o.log.info({ host: o.host, port, wsPort: webSocket?.port ?? null, mqttsPort: tls?.port ?? null }, "the hub listens");

  return {
    url: `mqtt://${hostInUrl(o.host)}:${port}`,
    port,
    wsUrl: webSocket === null ? null : `ws://${hostInUrl(o.host)}:${webSocket.port}`,
    tlsPort: tls?.port ?? null,
    renewCertificate: (identity) => tls?.renew(identity),
    counters,
    connected: () => registered.size,
    connectionsTotal: limits.total,
    lane: laneCounters,
    retained: persistence.retained,
    show: (name, text) => publish({ topic: `$SYS/broker/${name}`, payload: text, qos: 0, retain: true }),
    live: live.all,
    disconnect: live.disconnect,
    refresh: (name) => stored.refresh(name, accessOfName(name)),
    listening: () => server.listening,
    listeningOnTls: () => tls?.listening() === true,
    listeningOnWebSocket: () => webSocket?.listening() === true,
    async close() {
      stopSystemTopics();
      disconnectLane();
      const serverClosed = new Promise<void>((resolve) => server.close(() => resolve()));
      await closed(aedes);
      for (const socket of sockets) socket.destroy();
      await webSocket?.close();
      await tls?.close();
      await serverClosed;
      if (o.persistence === undefined) await persistence.close();
    },
  };
}

type Connection = {
  access: Access;
  order: ReturnType<PublishOrder["connection"]>;
  viewRate: ViewRate;
};

function connectionOf(client: AedesClient, access: Access, session: string | null, since: number): LiveConnection {
  const user = access.principal.name;
  const transport = transportOf(client.conn);
  // The hub itself put the name before it (connect.ts).
  const id = client.id.slice(user.length + 1);
  return { user, session, client: id, address: addressOf(client), transport, since };
}

function transportOf(conn: Duplex): LiveConnection["transport"] {
  if (conn instanceof WebSocketConnection) return "websocket";
  return conn instanceof TLSSocket ? "tls" : "tcp";
}

function tooMany(full: Full | null): string | null {
  return full === null ? null : `too many connections: ${full}`;
}

function closed(aedes: Aedes): Promise<void> {
  return new Promise((resolve) => aedes.close(() => resolve()));
}

function hostInUrl(host: string): string {
  return isIPv4(host) ? reachable(host) : "localhost";
}

async function openTls(
  o: HubOptions,
  { gate, handle, onAccess }: { gate: ConnectionGate; handle: (connection: Duplex) => void; onAccess: OnAccess },
) {
  if (o.tls === undefined) return null;
  return startTlsListener({
    ...o.tls,
    handshakeMs: o.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    gate,
    handle,
    onFailed: (address, fault) =>
      onAccess({ kind: "connection-refused", user: null, address, code: "schema", subject: `TLS: ${fault}` }),
  });
}

async function openWebSocket(o: HubOptions, gate: ConnectionGate, handle: (connection: Duplex) => void) {
  if (o.wsPort === undefined) return null;
  return startWebSocketPort({
    host: o.host,
    port: o.wsPort,
    firstMessageBytes: FIRST_MESSAGE_BYTES,
    handshakeMs: o.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    gate,
    forwarder: o.forwarder ?? null,
    handle,
  });
}

/** What ends a connection without a packet of it being at fault, as Aedes says it. */
const NO_FAULT_OF_A_PACKET: ReadonlySet<string> = new Set(["keep alive timeout", "connect did not arrive in time"]);

function watchFaults(aedes: Aedes, o: { log: Logger; onMalformed: (client: AedesClient) => void }): void {
  const ended = (client: Client, error: Error & { code?: string; returnCode?: number }) => {
    o.log.debug({ client: client.id, err: error }, "a connection ended badly");
    const ofTheSocket = error.code !== undefined;
    const refused = error.returnCode !== undefined;
    if (!ofTheSocket && !refused && !NO_FAULT_OF_A_PACKET.has(error.message)) o.onMalformed(client as AedesClient);
  };
  aedes.on("clientError", ended);
  aedes.on("connectionError", ended);
  (aedes as NodeJS.EventEmitter).on("error", (error: Error) =>
    o.log.error({ err: error }, "the broker reported a fault"),
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
