import type { WitnessReport } from "../contracts/witness.ts";
import { WitnessAlarmKind } from "../contracts/witness.ts";
import type { Metric } from "../runtime/metrics.ts";

/** @param o.answers - how often each status was answered; read when the figures are asked for. */
export function witnessFigures(o: { answers: ReadonlyMap<number, number>; report: () => WitnessReport[] }): Metric[] {
  const ofLogs = (read: (report: WitnessReport) => number | null) => () =>
    o.report().flatMap((report) => {
      const value = read(report);
      return value === null ? [] : [{ labels: { log: report.origin }, value }];
    });
  return [
    {
      name: "rastro_witness_answers_total",
      help: "Requests to cosign a checkpoint, by the status that was answered.",
      kind: "counter",
      labels: ["status"],
      read: () => [...o.answers].map(([status, value]) => ({ labels: { status: String(status) }, value })),
    },
    {
      name: "rastro_witness_cosigned_records",
      help: "Records under the checkpoint that was cosigned last.",
      kind: "gauge",
      labels: ["log"],
      read: ofLogs(({ size }) => size),
    },
    {
      name: "rastro_witness_cosigned_timestamp_seconds",
      help: "When it was cosigned, in seconds since 1970.",
      kind: "gauge",
      labels: ["log"],
      read: ofLogs(({ at }) => (at === null ? null : Date.parse(at) / 1000)),
    },
    {
      name: "rastro_witness_alarm",
      help: "1 while the witness accuses the log of it.",
      kind: "gauge",
      labels: ["log", "alarm"],
      read: () =>
        o.report().flatMap(({ origin, alarm }) =>
          WitnessAlarmKind.options.map((kind) => ({
            labels: { log: origin, alarm: kind },
            value: kind === alarm ? 1 : 0,
          })),
        ),
    },
  ];
}
