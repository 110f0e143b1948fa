import type { Duplex } from "node:stream";
import { connect, type IClientOptions, type MqttClient } from "mqtt";
import { RastroError } from "../contracts/errors.ts";
import { type After, within } from "./timing.ts";

/** Published and not yet acknowledged; whoever has more is told `busy`. */
const MAXIMUM_IN_FLIGHT = 4096;

/** MQTT 3.1.1 §3.14. Without it the broker would publish the will. */
const DISCONNECT = Buffer.from([0xe0, 0x00]);

export type Will = { topic: string; payload: string | Buffer; qos: 0 | 1; retain: boolean };
export type PublishOptions = { qos?: 0 | 1; retain?: boolean };

export type ConnectionOptions = {
  url: string;
  name: string;
  ca: string | undefined;
  password: string;
  clientId: string;
  will: Will | null;
  keepaliveS: number;
  timeoutMs: number;
  after: After;
  /** Ends an attempt that nobody waits for any longer. */
  signal: AbortSignal;
  onMessage: (topic: string, payload: Buffer, retain: boolean) => void;
};

/** One connection to a broker, from CONNACK to its end. It never reconnects: the link opens another one. */
export type Connection = {
  readonly stream: Duplex;
  /** Resolves when the connection has gone, for whatever reason. */
  readonly gone: Promise<void>;
  publish(topic: string, payload: string | Buffer, options: PublishOptions): Promise<void>;
  /** @returns the filters that the broker refused (SUBACK 128, MQTT 3.1.1 §3.9.3). */
  subscribe(filters: readonly string[]): Promise<string[]>;
  /** Lets acknowledgements come in for at most a second, then says goodbye, so that no will is published. */
  close(): Promise<void>;
  destroy(): void;
};

/**
 * Connects, with a client of its own for each connection. mqtt.js's own reconnecting would send stored QoS 1 messages
 * again, behind newer ones and without asking for a new password; here whatever was in flight when a connection went
 * is rejected, and its sender decides.
 *
 * @throws RastroError `bad_credentials` when the broker refuses name or password, else `not_reachable`.
 */
export async function openConnection(o: ConnectionOptions): Promise<Connection> {
  const client = connect(clientOptions(o));
  const gone = new Promise<void>((resolve) => client.once("close", resolve));
  let failure: Error | null = null;
  client.on("error", (error) => {
    failure ??= error;
    client.stream.destroy();
  });
  const stream = client.stream as unknown as Duplex & { setNoDelay?: (on: boolean) => void };
  stream.setNoDelay?.(true);
  const writes = gatherWrites(stream);
  client.on("message", (topic, payload, packet) => {
    // The client writes the acknowledgement when this returns.
    if (packet.qos > 0) writes.withNext();
    o.onMessage(topic, payload, packet.retain);
  });
  const abort = () => void stream.destroy();
  o.signal.addEventListener("abort", abort, { once: true });

  await Promise.race([new Promise<void>((resolve) => client.once("connect", () => resolve())), gone]);
  o.signal.removeEventListener("abort", abort);
  if (!client.connected) throw refusalOf(o, failure);
  return connected({ client, stream, gone, writes, after: o.after });
}

/** An acknowledgement that nobody waits for goes out after so long at the latest. */
const ACKNOWLEDGED_WITHIN_MS = 2;

/**
 * Holds writes back so that several go to the system in one call: each call costs more than all else that is done for
 * a packet, and wakes the other side. To be called before writing.
 *
 * `withTurn`: what is written goes out at the end of this turn of the event loop. `withNext`: it may wait for what is
 * published next, but not for long.
 */
function gatherWrites(stream: Duplex): { withTurn(): void; withNext(): void } {
  let turn = false;
  let waiting: NodeJS.Timeout | null = null;

  function flush(): void {
    if (waiting !== null) clearTimeout(waiting);
    waiting = null;
    turn = false;
    stream.uncork();
  }

  return {
    withTurn() {
      if (turn) return;
      if (waiting === null) stream.cork();
      turn = true;
      setImmediate(flush);
    },
    withNext() {
      if (turn || waiting !== null) return;
      stream.cork();
      waiting = setTimeout(flush, ACKNOWLEDGED_WITHIN_MS);
    },
  };
}

function clientOptions(o: ConnectionOptions): IClientOptions {
  const url = new URL(o.url);
  return {
    protocol: url.protocol.slice(0, -1) as "mqtt",
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    ...(url.port === "" ? {} : { port: Number(url.port) }),
    path: url.pathname,
    protocolVersion: 4,
    clean: true,
    clientId: o.clientId,
    username: o.name,
    password: o.password,
    keepalive: o.keepaliveS,
    ...(o.ca === undefined ? {} : { ca: o.ca }),
    connectTimeout: o.timeoutMs,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    timerVariant: "native",
    // Its own debug output is built for each packet, wanted or not.
    log: () => {},
    ...(o.will === null ? {} : { will: { ...o.will, payload: Buffer.from(o.will.payload) } }),
  };
}

function connected(o: {
  client: MqttClient;
  stream: Duplex;
  gone: Promise<void>;
  writes: { withTurn(): void };
  after: After;
}): Connection {
  const { client, stream } = o;
  const inFlight = new Map<symbol, (error: RastroError) => void>();
  const idle: (() => void)[] = [];
  void o.gone.then(() => {
    for (const reject of inFlight.values()) reject(cut());
    settle();
  });

  function settle(id?: symbol): void {
    if (id === undefined) inFlight.clear();
    else inFlight.delete(id);
    if (inFlight.size === 0) for (const done of idle.splice(0)) done();
  }

  /** Rejects when the connection goes first, which mqtt.js does not tell for QoS 1 nor for a write that waits for drain. */
  function tracked<T>(start: (done: (error: RastroError | null, value: T) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (stream.destroyed || !client.connected) return reject(cut());
      if (inFlight.size >= MAXIMUM_IN_FLIGHT) return reject(tooMuch());
      const id = Symbol();
      inFlight.set(id, reject);
      start((error, value) => {
        if (error) reject(error);
        else resolve(value);
        settle(id);
      });
    });
  }

  async function close(): Promise<void> {
    if (inFlight.size > 0) await within(1000, new Promise<void>((resolve) => idle.push(resolve)), o.after);
    if (!stream.destroyed) stream.end(DISCONNECT);
    await within(500, o.gone, o.after);
    stream.destroy();
    await o.gone;
  }

  return {
    stream,
    gone: o.gone,
    publish: (topic, payload, { qos = 0, retain = false }) =>
      tracked<void>((done) => {
        o.writes.withTurn();
        client.publish(topic, payload, { qos, retain }, (error) => done(error ? cut(error) : null));
      }),
    subscribe: (filters) =>
      tracked<string[]>((done) =>
        client.subscribe([...filters], { qos: 1 }, (error, _asked, packet) => {
          const answers = packet?.granted ?? [];
          const refused = filters.filter((_, index) => (Number(answers[index] ?? 0) & 0x80) !== 0);
          done(error && refused.length === 0 ? cut(error) : null, refused);
        }),
      ),
    close,
    destroy: () => void stream.destroy(),
  };
}

/** What Node says of a certificate that it does not trust, or that was made for another name. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_SIGNATURE_FAILURE",
  "CERT_HAS_EXPIRED",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

function refusalOf(o: ConnectionOptions, failure: Error | null): RastroError {
  const returnCode = (failure as { code?: unknown } | null)?.code;
  // CONNACK return codes 4 and 5 (MQTT 3.1.1 §3.2.2.3): bad user name or password, not authorised.
  if (returnCode === 4 || returnCode === 5) {
    return new RastroError(
      {
        code: "bad_credentials",
        message: `Connecting to ${o.url} as ${o.name} failed: the broker refuses the name or its password; check that ${o.name} is registered and that its key or password is the registered one.`,
        given: o.name,
      },
      { cause: failure },
    );
  }
  if (typeof returnCode === "string" && UNTRUSTED.has(returnCode)) {
    return new RastroError(
      {
        code: "not_reachable",
        message: `Connecting to ${o.url} as ${o.name} failed: the broker's certificate is not one that is known here (${returnCode}); give RASTRO_CA the plant's ca.crt, and compare fingerprints with "rastro tls show".`,
        given: returnCode,
      },
      { cause: failure },
    );
  }
  const why = failure?.message || "the connection was closed before the broker answered";
  return new RastroError(
    {
      code: "not_reachable",
      message: `Connecting to ${o.url} as ${o.name} failed: ${why}; start the broker or correct RASTRO_BROKER_URL.`,
    },
    { cause: failure },
  );
}

function cut(cause?: Error): RastroError {
  return new RastroError(
    { code: "not_reachable", message: "Sending to the broker failed: the connection went before it was acknowledged." },
    { cause },
  );
}

function tooMuch(): RastroError {
  return new RastroError({
    code: "busy",
    message: `Sending to the broker failed: ${MAXIMUM_IN_FLIGHT} messages wait for their acknowledgement already; send again later.`,
  });
}
