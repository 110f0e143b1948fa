import manifest from "../package.json" with { type: "json" };
import type { ViewRates } from "../lib/contracts/view-rates.ts";
import type { HubCounters } from "./access-events.ts";
import type { AedesClient } from "./aedes-internals.ts";
import { createLoadAverage } from "./load-average.ts";
import type { LaneCounters } from "./lane/status-lane.ts";
import type { Persistence } from "./persistence/persistence.ts";

/** The name under which the hub presents itself, with the project's version. */
export const HUB_VERSION = `rastro version ${manifest.version}`;

const LOAD_MINUTES = [1, 5, 15] as const;

/**
 * Publishes, retained, what MQTT Explorer's panel reads, under Mosquitto's names and in its formats (`mosquitto(8)`,
 * "Broker Status"). Messages are PUBLISH packets here; Mosquitto counts every packet under the same names.
 * The first set goes out at once, then one every `everyMs`.
 *
 * @returns stops it.
 */
export function publishSystemTopics(o: {
  publish: (message: { topic: string; payload: string; qos: 0; retain: true }) => void;
  counters: HubCounters;
  /** Connections that are admitted now. */
  clients: () => readonly Pick<AedesClient, "clean" | "subscriptions">[];
  persistence: Pick<Persistence, "countOffline" | "retained">;
  viewRates: ViewRates;
  /** What the status lane did; null when it is off. */
  lane: () => (LaneCounters & { readersBehind: number }) | null;
  everyMs: number;
  now: () => number;
}): () => void {
  const startedAt = o.now();
  const received = createLoads("messages/received", startedAt);
  const sent = createLoads("messages/sent", startedAt);
  let heapMaximum = 0;

  const renew = async () => {
    const offline = await o.persistence.countOffline();
    const clients = o.clients();
    const heap = process.memoryUsage().heapUsed;
    heapMaximum = Math.max(heapMaximum, heap);
    const { counters } = o;
    const now = o.now();
    const values: Record<string, string | number> = {
      version: HUB_VERSION,
      uptime: `${Math.floor((now - startedAt) / 1000)} seconds`,
      ...sessionCounts(clients, offline),
      "messages/received": counters.received,
      "messages/sent": counters.sent,
      "publish/messages/received": counters.received,
      "publish/messages/sent": counters.sent,
      "publish/messages/dropped": counters.skipped + counters.dropped,
      ...received(counters.received, now),
      ...sent(counters.sent, now),
      "heap/current": heap,
      "heap/maximum": heapMaximum,
      ...laneValues(o.lane()),
      ...Object.fromEntries(Object.entries(o.viewRates).map(([viewer, rate]) => [`view-rate/${viewer}`, rate])),
      "store/messages/count": o.persistence.retained(),
      "retained messages/count": o.persistence.retained(),
    };
    for (const [name, value] of Object.entries(values)) {
      o.publish({ topic: `$SYS/broker/${name}`, payload: String(value), qos: 0, retain: true });
    }
  };
  void renew();
  const timer = setInterval(() => void renew(), o.everyMs);
  return () => clearInterval(timer);
}

/** Figures of our own, which Mosquitto does not have. */
function laneValues(lane: (LaneCounters & { readersBehind: number }) | null): Record<string, string | number> {
  if (lane === null) return { "status-lane/state": "off" };
  return {
    "status-lane/state": "on",
    "status-lane/messages": lane.frames,
    "status-lane/batches": lane.batches,
    "status-lane/readers-behind": lane.readersBehind,
  };
}

/** The store counts persistent sessions and their QoS 1 and 2 subscriptions, whether they are connected or not. */
function sessionCounts(
  clients: readonly Pick<AedesClient, "clean" | "subscriptions">[],
  offline: { subsCount: number; clientsCount: number },
): Record<string, number> {
  const persistent = clients.filter(({ clean }) => !clean);
  const queued = persistent.flatMap(({ subscriptions }) => Object.values(subscriptions)).filter(({ qos }) => qos > 0);
  const own = clients.reduce((sum, { subscriptions }) => sum + Object.keys(subscriptions).length, 0);
  const absent = Math.max(0, offline.clientsCount - persistent.length);
  return {
    "clients/connected": clients.length,
    "clients/disconnected": absent,
    "clients/total": clients.length + absent,
    "subscriptions/count": own + Math.max(0, offline.subsCount - queued.length),
  };
}

/** `load/<name>/1min` and so on, of a counter that only grows. */
function createLoads(name: string, startedAt: number): (total: number, now: number) => Record<string, string> {
  const averages = LOAD_MINUTES.map((minutes) => ({ minutes, next: createLoadAverage(minutes) }));
  let before = { total: 0, at: startedAt };
  return (total, now) => {
    const [added, elapsed] = [total - before.total, now - before.at];
    before = { total, at: now };
    return Object.fromEntries(
      averages.map(({ minutes, next }) => [`load/${name}/${minutes}min`, next(added, elapsed).toFixed(2)]),
    );
  };
}
