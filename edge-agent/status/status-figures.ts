import type { Metric } from "../../lib/runtime/metrics.ts";
import type { Rate } from "./rate-meter.ts";

/** What was achieved in the second of the last summary; 0 before there was one. */
export function statusFigures(rate: () => Rate | null): Metric[] {
  return [
    {
      name: "rastro_agent_status_hertz",
      help: "Statuses sent a second, in the second of the last summary.",
      kind: "gauge",
      read: () => (rate()?.rateMilliHz ?? 0) / 1000,
    },
    {
      name: "rastro_agent_status_gap_seconds",
      help: "Time between two statuses in that second.",
      kind: "gauge",
      labels: ["quantile"],
      read: () =>
        (["p50", "p99", "max"] as const).map((quantile) => ({
          labels: { quantile },
          value: (rate()?.gapUs[quantile] ?? 0) / 1e6,
        })),
    },
  ];
}
