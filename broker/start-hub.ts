import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { Aedes, type Client } from "aedes";
import { CONNECTED_MACHINES } from "../lib/contracts/connected-machines.ts";
import { isStatus } from "../lib/contracts/topics.ts";
import { VIEW_RATES, type ViewRate, viewRateOf } from "../lib/contracts/view-rates.ts";
import { Store } from "../lib/storage/store/store.ts";
import { type Access, accessByName } from "./access.ts";
import { counting, newCounters } from "./access-events.ts";
import type { AedesBroker, AedesClient } from "./aedes-internals.ts";
import { authorizeHooks } from "./authorize.ts";
import { addressOf, connectHooks } from "./connect.ts";
import { createConnectionGate, type Full } from "./connection-gate.ts";
import { connectionLimits, openFilesLimit } from "./connection-limits.ts";
import { connectPersistence, persistenceForAedes } from "./connect-persistence.ts";
import { createConnections } from "./connections.ts";
import type { Hub, HubOptions } from "./hub.ts";
import { createConnectedMachines, LOOK_EVERY_MS, type MachineConnection } from "./connected-machines.ts";
import { connectLane } from "./lane/connect-lane.ts";
import { createStatusLane, type StatusLane } from "./lane/status-lane.ts";
import { createLiveConnections, liveConnectionOf } from "./live-connections.ts";
import { OUTLET_LIMITS } from "./outlet.ts";
import { openPersistence } from "./persistence/persistence.ts";
import { openPorts } from "./ports.ts";
import { createPublishOrder, type PublishOrder } from "./publish-order.ts";
import { refusedRequest } from "./refuse-request.ts";
import { storedSessions } from "./stored-sessions.ts";
import { createTurn } from "./turn.ts";
import { unregisterTheRightOne } from "./unregister.ts";
import { publishSystemTopics } from "./system-topics.ts";
import { watchFaults } from "./watch-faults.ts";

const CONNECT_TIMEOUT_MS = 5000;
const SYSTEM_TOPICS_MS = 10_000;
const MAX_PACKET_BYTES = 256 * 1024;

/**
 * Starts the hub: an MQTT 3.1.1 broker that admits by `authenticator` and lets everyone do what the permission table says.
 *
 * @throws RastroError `port_taken` when another program listens there.
 */
export async function startHub(o: HubOptions): Promise<Hub> {
  const now = o.now ?? Date.now;
  const connectTimeoutMs = o.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
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
    connectTimeout: connectTimeoutMs,
    persistence: persistenceForAedes(persistence),
    ...connectHooks({
      authenticator: o.authenticator,
      prepare: (client) => ends.attach(client),
      placeFor: ({ conn }, principal) => tooMany(gate.admit(conn, principal)),
      admitted: (client, access, session) => {
        const viewRate = viewRateOf(viewRates, access.principal);
        connections.set(client, { access, order: order.connection(), viewRate });
        live.add(client as AedesClient, liveConnectionOf(client, access, session, now()));
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

  const machines = createConnectedMachines<Client>((payload) =>
    publish({ topic: CONNECTED_MACHINES, payload, qos: 0, retain: true }),
  );
  function* connectionsOfMachines(): Generator<readonly [Client, MachineConnection]> {
    for (const client of registered) {
      const principal = connections.get(client)?.access.principal;
      if (principal?.kind !== "machine") continue;
      const { bytesRead } = client.conn as unknown as { bytesRead: number };
      yield [client, { machine: principal.name, address: addressOf(client), bytesRead }];
    }
  }
  // Before the first connection, so that nobody takes what an earlier start of the hub had said for true.
  machines.look(connectionsOfMachines());

  const laneCounters = () => (lane === null ? null : { ...lane.counters, readersBehind: lane.readersBehind() });

  const handle = (connection: Duplex) => ends.guard(aedes.handle(connection) as AedesClient);
  const ports = await openPorts({
    ...o,
    gate,
    handle,
    handshakeMs: connectTimeoutMs,
    onTlsFailed: (address, fault) =>
      onAccess({ kind: "connection-refused", user: null, address, code: "schema", subject: `TLS: ${fault}` }),
  }).catch(async (error: unknown) => {
    disconnectLane();
    await closed(aedes);
    throw error;
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
  const looking = setInterval(() => machines.look(connectionsOfMachines()), LOOK_EVERY_MS);
  o.log.info({ host: o.host, port: ports.port, wsPort: ports.wsPort, mqttsPort: ports.tlsPort }, "the hub listens");

  return {
    url: ports.url,
    port: ports.port,
    wsUrl: ports.wsUrl,
    tlsPort: ports.tlsPort,
    renewCertificate: ports.renewCertificate,
    counters,
    connected: () => registered.size,
    connectionsTotal: limits.total,
    lane: laneCounters,
    retained: persistence.retained,
    show: (name, text) => publish({ topic: `$SYS/broker/${name}`, payload: text, qos: 0, retain: true }),
    live: live.all,
    disconnect: live.disconnect,
    refresh: (name) => stored.refresh(name, accessOfName(name)),
    listening: ports.listening,
    listeningOnTls: ports.listeningOnTls,
    listeningOnWebSocket: ports.listeningOnWebSocket,
    async close() {
      stopSystemTopics();
      clearInterval(looking);
      disconnectLane();
      ports.shut();
      await closed(aedes);
      await ports.close();
      if (o.persistence === undefined) await persistence.close();
    },
  };
}

type Connection = {
  access: Access;
  order: ReturnType<PublishOrder["connection"]>;
  viewRate: ViewRate;
};

function tooMany(full: Full | null): string | null {
  return full === null ? null : `too many connections: ${full}`;
}

function closed(aedes: Aedes): Promise<void> {
  return new Promise((resolve) => aedes.close(() => resolve()));
}
