import type { BookName } from "../../lib/contracts/names.ts";
import type { Metric } from "../../lib/runtime/metrics.ts";
import type { QuarantineFetcher } from "./fetch-quarantine.ts";
import type { Follower, Standing } from "./follow-book.ts";
import { msBehind, recordsBehind } from "./state.ts";

/** How far the copies are, for Prometheus. */
export function figuresOf(o: {
  followers: Readonly<Record<BookName, Follower>>;
  fetchers: Readonly<Record<BookName, QuarantineFetcher>>;
  now: () => number;
}): Metric[] {
  const { followers, fetchers, now } = o;
  const per = (value: (standing: Standing) => number) => () =>
    Object.entries(followers).map(([book, follower]) => ({ labels: { book }, value: value(follower.standing()) }));
  const figure = (name: string, kind: Metric["kind"], help: string, value: (standing: Standing) => number): Metric => ({
    name: `rastro_standby_${name}`,
    help,
    kind,
    labels: ["book"],
    read: per(value),
  });
  return [
    figure("held_records", "gauge", "Records on the standby's disk, proven or not.", ({ held }) => held),
    figure(
      "proven_records",
      "gauge",
      "Records under the newest checkpoint that was proven.",
      ({ proven }) => proven?.head.size ?? 0,
    ),
    figure("behind_records", "gauge", "Records that the log has signed and are not proven.", recordsBehind),
    figure("behind_seconds", "gauge", "For how long some of them have not been.", (s) => msBehind(s, now()) / 1000),
    figure("diverged", "gauge", "1 when the copy is of another history than the log.", (s) =>
      s.divergence === null ? 0 : 1,
    ),
    {
      name: "rastro_standby_quarantine_wanted",
      help: "Events that the book has set apart, by proven records, and whose bytes are not here.",
      kind: "gauge",
      labels: ["book"],
      read: () => Object.entries(fetchers).map(([book, fetcher]) => ({ labels: { book }, value: fetcher.wanted() })),
    },
    figure("checkpoints_total", "counter", "Checkpoints that came.", ({ counts }) => counts.checkpoints),
    figure("proofs_total", "counter", "Checkpoints that were proven.", ({ counts }) => counts.proofs),
  ];
}
