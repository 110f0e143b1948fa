import type { AlarmRule } from "../../../lib/runtime/alarms.ts";
import type { Metric } from "../../../lib/runtime/metrics.ts";
import type { TroubleLog } from "./trouble-log.ts";
import type { TroubleType } from "./troubles.ts";
import type { Witnesses } from "./witnesses.ts";

/** Name of the alarm that is raised while a trouble of each kind is open. */
const ALARMS: Readonly<Record<TroubleType, string>> = {
  "witness.quorum-degraded": "quorum-degraded",
  "witness.conflict": "witness-conflict",
  "witness.unproven": "witness-unproven",
  "witness.log-behind": "log-behind-witnesses",
  "witness.refused": "witness-refused",
};

/** An alarm for each kind of trouble between the logs and their witnesses. */
export function witnessAlarms(troubles: Pick<TroubleLog, "open">): AlarmRule[] {
  return Object.entries(ALARMS).map(([type, name]) => ({
    name,
    raiseAfterMs: 0,
    clearAfterMs: 0,
    look: () => {
      const open = troubles.open(type as TroubleType);
      return open.length === 0 ? null : open.map(({ message }) => message).join(" ");
    },
  }));
}

/** How far witnesses have come. */
export function witnessFigures(witnesses: Pick<Witnesses, "list" | "books">, now: () => number): Metric[] {
  const perWitness = (value: (log: { lag: number; at: string | null }) => number | null) => () =>
    witnesses.list().flatMap(({ name, logs }) =>
      logs.flatMap((log) => {
        const shown = value(log);
        return shown === null ? [] : [{ labels: { book: log.book, witness: name }, value: shown }];
      }),
    );
  const perBook = (value: (book: { needed: number; cosigned: number }) => number) => () =>
    witnesses.books().map((book) => ({ labels: { book: book.book }, value: value(book) }));
  const metric = (name: string, help: string, read: Metric["read"], ...labels: string[]): Metric => ({
    name: `rastro_witness_${name}`,
    help,
    kind: "gauge",
    labels: ["book", ...labels],
    read,
  });
  const age = (at: string | null) => (at === null ? null : Math.max(0, (now() - Date.parse(at)) / 1000));
  return [
    metric(
      "quorum_needed",
      "Witnesses that it takes; 0 where none is asked for.",
      perBook(({ needed }) => needed),
    ),
    metric(
      "quorum_cosigned",
      "Of those that count: how many have cosigned the newest checkpoint.",
      perBook(({ cosigned }) => cosigned),
    ),
    metric(
      "lag_records",
      "Records of the newest checkpoint that a witness has not cosigned.",
      perWitness(({ lag }) => lag),
      "witness",
    ),
    metric(
      "cosigned_age_seconds",
      "Since a witness cosigned last.",
      perWitness(({ at }) => age(at)),
      "witness",
    ),
  ];
}
