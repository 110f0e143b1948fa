import { readFileSync } from "node:fs";
import type { HubCounters } from "./access-events.ts";
import type { AedesBroker } from "./aedes-internals.ts";

/** The name under which the hub presents itself, with the project's version. */
export const HUB_VERSION = `rastro version ${readVersion()}`;

/**
 * Publishes, retained, what MQTT Explorer's panel reads, under Mosquitto's names (`mosquitto.conf(5)`, "$SYS topics").
 * The first set goes out at once, then one every `everyMs`.
 *
 * @returns stops it.
 */
export function publishSystemTopics(o: {
  publish: (message: { topic: string; payload: string; qos: 0; retain: true }) => void;
  counters: HubCounters;
  connected: () => number;
  persistence: Pick<AedesBroker["persistence"], "countOffline">;
  everyMs: number;
  now: () => number;
}): () => void {
  const startedAt = o.now();
  const renew = async () => {
    const { clientsCount } = await o.persistence.countOffline();
    const connected = o.connected();
    const memory = process.memoryUsage();
    const values: Record<string, string | number> = {
      version: HUB_VERSION,
      uptime: `${Math.floor((o.now() - startedAt) / 1000)} seconds`,
      "clients/connected": connected,
      "clients/total": Math.max(connected, clientsCount),
      "messages/received": o.counters.received,
      "messages/sent": o.counters.sent,
      "heap/current": memory.heapUsed,
      "heap/maximum": memory.heapTotal,
    };
    for (const [name, value] of Object.entries(values)) {
      o.publish({ topic: `$SYS/broker/${name}`, payload: String(value), qos: 0, retain: true });
    }
  };
  void renew();
  const timer = setInterval(() => void renew(), o.everyMs);
  return () => clearInterval(timer);
}

function readVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
