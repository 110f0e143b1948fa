import { monitorEventLoopDelay } from "node:perf_hooks";
import type { AlarmRule } from "../lib/runtime/alarms.ts";
import { freeBytes } from "../lib/runtime/disk.ts";
import type { Persistence } from "./persistence/persistence.ts";
import type { Hub } from "./hub.ts";

const SECOND = 1000;
const MIB = 1024 * 1024;
const LAG_MS = 200;
/** Of all connections that there may be. */
const NEARLY_ALL = 0.9;

/**
 * What the hub looks after. `disk-space` is for the whole data folder: all processes of the hub write there.
 */
export function hubAlarms(o: {
  hub: Pick<Hub, "connected" | "connectionsTotal" | "lane">;
  persistence: Pick<Persistence, "fault">;
  folder: string;
  diskBytes: number;
}): AlarmRule[] {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  return [
    {
      name: "disk-space",
      raiseAfterMs: 0,
      clearAfterMs: 30 * SECOND,
      async look() {
        const free = await freeBytes(o.folder);
        if (free >= o.diskBytes) return null;
        return `The disk of ${o.folder} has ${mib(free)} MiB left, less than ${mib(o.diskBytes)}: make room, or move the data folder.`;
      },
    },
    {
      name: "store",
      raiseAfterMs: 0,
      clearAfterMs: 0,
      look() {
        const fault = o.persistence.fault();
        return fault === null
          ? null
          : `What has to be stored is not acknowledged, and its senders are cut off: ${fault} It is tried each second.`;
      },
    },
    {
      name: "event-loop",
      raiseAfterMs: 10 * SECOND,
      clearAfterMs: 30 * SECOND,
      look() {
        const p99 = delay.percentile(99) / 1e6;
        delay.reset();
        if (p99 < LAG_MS) return null;
        return `The hub is late by ${LAG_MS} ms and more: its core is busy; see rastro_hub_messages_received_total for what with.`;
      },
    },
    {
      name: "readers-behind",
      raiseAfterMs: 60 * SECOND,
      clearAfterMs: 30 * SECOND,
      look() {
        const behind = o.hub.lane()?.readersBehind ?? 0;
        return behind === 0
          ? null
          : `${behind} readers of statuses have not kept up for a minute: they get the newest only.`;
      },
    },
    {
      name: "connections",
      raiseAfterMs: 0,
      clearAfterMs: 60 * SECOND,
      look() {
        if (o.hub.connected() < NEARLY_ALL * o.hub.connectionsTotal) return null;
        return `More than ${NEARLY_ALL * 100} % of the ${o.hub.connectionsTotal} connections that there may be are in use: end some, or raise RASTRO_MAX_CONNECTIONS.`;
      },
    },
  ];
}

/** Says whether there is room for what is written next: LevelDB fails badly on a full disk, so nothing begins on one. */
export function diskCheck(o: { folder: string; floorBytes: number; everyMs: number }): {
  check: () => true | string;
  stop: () => void;
} {
  let free = Number.POSITIVE_INFINITY;
  const look = () =>
    void freeBytes(o.folder).then(
      (bytes) => (free = bytes),
      () => undefined,
    );
  look();
  const timer = setInterval(look, o.everyMs);
  return {
    check: () =>
      free >= o.floorBytes || `the disk has ${mib(free)} MiB left, less than ${mib(o.floorBytes)}: make room`,
    stop: () => clearInterval(timer),
  };
}

function mib(bytes: number): number {
  return Math.floor(bytes / MIB);
}
