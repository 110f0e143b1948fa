import mqtt, { type MqttClient } from "mqtt";
import type { Session } from "../../lib/contracts/directory.ts";
import { topics } from "../../lib/contracts/topics.ts";

/** How long a probe waits for what should come, unless told otherwise. */
export const PROBE_TIMEOUT_MS = 5000;

/** The request that probes ask: it reads, every reader may ask it, and its answer is small. */
const ASKED = { service: "fleet", operation: "machine-list" } as const;

/**
 * A connection that counts what the broker really sends. Not `lib/messaging`, whose very task it is to level out what
 * brokers do differently.
 */
export interface Probe {
  readonly client: MqttClient;
  readonly user: string;
  /** Filter of the answers to this probe's requests. */
  readonly answers: string;
  /** Sends a request, filled up with spaces to a length in bytes. @returns the topic on which its answer comes. */
  ask(number: number, length?: number): Promise<string>;
  /** Resolves to the topics of messages in the order in which they come, once `enough` holds or the time is up. */
  collect(enough: (topics: readonly string[]) => boolean): Promise<string[]>;
  close(): Promise<void>;
}

/** @param o.id - of this probe alone: a request of an id that was used before, with other bytes, is refused. */
export async function openProbe(o: {
  url: string;
  session: Session;
  now: () => number;
  id: string;
  timeoutMs: number;
}): Promise<Probe> {
  const { user, session, token } = o.session;
  const client = await mqtt.connectAsync(o.url, {
    protocolVersion: 4,
    clean: true,
    reconnectPeriod: 0,
    connectTimeout: o.timeoutMs,
    username: user,
    password: token,
  });
  // Else an answer's acknowledgement holds the next request up until the broker's delayed one of TCP, 40 ms.
  (client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
  // A refused packet ends the connection; what was to come then does not come, and that is what a probe says.
  client.on("error", () => undefined);
  const requestId = (number: number) => `doctor-${o.id}-${number}`;
  return {
    client,
    user,
    answers: topics.response(user, session, "+"),
    ask: async (number, length = 0) => {
      const notAfter = new Date(o.now() + 60_000).toISOString();
      const text = JSON.stringify({ v: 1, notAfter, body: {} }).padEnd(length);
      const topic = topics.request(user, session, ASKED.service, ASKED.operation, requestId(number));
      // A connection that is cut gives no acknowledgement.
      client.publishAsync(topic, text, { qos: 1 }).catch(() => undefined);
      return topics.response(user, session, requestId(number));
    },
    collect: (enough) => collect(client, enough, o.timeoutMs),
    close: () => client.endAsync(true),
  };
}

async function collect(
  client: MqttClient,
  enough: (topics: readonly string[]) => boolean,
  timeoutMs: number,
): Promise<string[]> {
  const came: string[] = [];
  const done = Promise.withResolvers<void>();
  const take = (topic: string) => {
    came.push(topic);
    if (enough(came)) done.resolve();
  };
  const timer = setTimeout(() => done.resolve(), timeoutMs);
  const closed = () => done.resolve();
  client.on("message", take).once("close", closed);
  await done.promise;
  clearTimeout(timer);
  client.off("message", take).off("close", closed);
  return came;
}
