import type { Metric, Sample } from "../lib/runtime/metrics.ts";
import { folderBytes } from "../lib/runtime/disk.ts";
import type { Principal } from "../lib/contracts/directory.ts";
import type { Persistence } from "./persistence/persistence.ts";
import type { Hub } from "./hub.ts";

/**
 * The hub's figures, all read when they are asked for.
 *
 * @param o.folders - LevelDB folders of the process, each under the name that its size has.
 */
export function hubMetrics(o: {
  hub: Hub;
  persistence: Pick<Persistence, "counters" | "queued">;
  principalOf: (name: string) => Principal | undefined;
  folders: Readonly<Record<string, string>>;
}): Metric[] {
  const { hub, persistence } = o;
  const { counters } = hub;
  const count = (name: string, help: string, read: () => number): Metric => ({
    name: `rastro_hub_${name}`,
    help,
    kind: "counter",
    read,
  });
  const gauge = (name: string, help: string, read: () => number): Metric => ({
    ...count(name, help, read),
    kind: "gauge",
  });
  return [
    {
      ...gauge("connections", "Connections that are admitted, by profile and transport.", () => 0),
      labels: ["profile", "transport"],
      read: () => connectionsOf(hub, o.principalOf),
    },
    {
      ...count("messages_received_total", "PUBLISH packets taken in, by what they are about.", () => 0),
      labels: ["class"],
      read: () => receivedByClass(hub),
    },
    count("messages_sent_total", "PUBLISH packets sent to readers.", () => counters.sent),
    count(
      "messages_skipped_total",
      "QoS 0 messages that a reader did not get because a newer one of their topic took their place.",
      () => counters.skipped,
    ),
    count(
      "messages_dropped_total",
      "QoS 0 messages that a reader did not get for want of room.",
      () => counters.dropped,
    ),
    count("connections_too_slow_total", "Connections ended because too much waited for them.", () => counters.tooSlow),
    {
      ...count("refused_total", "What was refused, by what it was.", () => 0),
      labels: ["what"],
      read: () => Object.entries(counters.refused).map(([what, value]) => ({ labels: { what }, value })),
    },
    count("lane_messages_total", "Statuses that took the lane.", () => hub.lane()?.frames ?? 0),
    count("lane_batches_total", "Batches in which they left.", () => hub.lane()?.batches ?? 0),
    gauge(
      "lane_readers_behind",
      "Full-rate readers whose sockets are full, now.",
      () => hub.lane()?.readersBehind ?? 0,
    ),
    gauge("retained_messages", "Topics with a retained message.", () => hub.retained()),
    gauge("queued_messages", "Messages that persistent sessions are owed.", () => persistence.queued().messages),
    gauge("queued_bytes", "Topics and payloads of these.", () => persistence.queued().bytes),
    {
      ...count("queue_dropped_total", "Messages that persistent sessions were owed and will not get, by why.", () => 0),
      labels: ["cause"],
      read: () => Object.entries(persistence.counters.dropped).map(([cause, value]) => ({ labels: { cause }, value })),
    },
    {
      name: "rastro_store_bytes",
      help: "Size of a store's files on disk.",
      kind: "gauge",
      labels: ["store"],
      read: () => sizesOf(o.folders),
    },
  ];
}

function connectionsOf(hub: Hub, principalOf: (name: string) => Principal | undefined): Sample[] {
  const counts = new Map<string, Sample>();
  for (const { user, transport } of hub.live()) {
    const profile = principalOf(user)?.profile ?? "unknown";
    const key = `${profile} ${transport}`;
    const sample = counts.get(key) ?? { labels: { profile, transport }, value: 0 };
    counts.set(key, { ...sample, value: sample.value + 1 });
  }
  return [...counts.values()];
}

function receivedByClass({ counters, lane }: Hub): Sample[] {
  const onLane = lane()?.frames ?? 0;
  return Object.entries(counters.receivedBy).map(([name, value]) => ({
    labels: { class: name },
    value: name === "status" ? value + onLane : value,
  }));
}

async function sizesOf(folders: Readonly<Record<string, string>>): Promise<Sample[]> {
  const entries = Object.entries(folders).map(async ([store, folder]) => ({
    labels: { store },
    value: await folderBytes(folder),
  }));
  return Promise.all(entries);
}
