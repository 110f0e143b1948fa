import type { Book } from "./book/book.ts";
import type { Outbox } from "./outbox/outbox.ts";
import type { Store } from "./store/store.ts";

/** Satisfies `Metric` of lib/runtime/metrics.ts, which stands beside this and is not imported. */
export type Figure = {
  name: string;
  help: string;
  kind: "counter" | "gauge";
  labels: readonly string[];
  read: () => { labels: Record<string, string>; value: number }[];
};

/** What stores have written since the process began, each under a name. */
export function storeFigures(stores: Readonly<Record<string, Store>>): Figure[] {
  const per = (value: (store: Store) => number) => () =>
    Object.entries(stores).map(([store, opened]) => ({ labels: { store }, value: value(opened) }));
  const figure = (name: string, help: string, value: (store: Store) => number): Figure => ({
    name: `rastro_store_${name}`,
    help,
    kind: "counter",
    labels: ["store"],
    read: per(value),
  });
  return [
    figure("batches_total", "Synced batches that were written.", ({ written }) => written.batches),
    figure(
      "stages_total",
      "Writes that these batches carried; by batches it is the size of a group.",
      ({ written }) => written.stages,
    ),
    figure("write_seconds_total", "Time that the batches took, sync included.", ({ written }) => written.ms / 1000),
    figure("failures_total", "Batches that could not be written.", ({ written }) => written.failures),
  ];
}

/** What waits in outboxes for a receipt, by the book that they send to. */
export function outboxFigures(outboxes: readonly Outbox[], now: () => number): Figure[] {
  const per = (value: (depth: ReturnType<Outbox["depth"]>) => number) => () =>
    outboxes.map((outbox) => ({ labels: { from: outbox.name, to: outbox.book }, value: value(outbox.depth()) }));
  const figure = (name: string, help: string, value: (depth: ReturnType<Outbox["depth"]>) => number): Figure => ({
    name: `rastro_outbox_${name}`,
    help,
    kind: "gauge",
    labels: ["from", "to"],
    read: per(value),
  });
  return [
    figure("waiting_events", "Events on disk that have no receipt yet.", ({ waiting }) => waiting),
    figure("oldest_seconds", "Age of the oldest of them, 0 when none waits.", ({ oldest }) =>
      oldest === null ? 0 : Math.max(0, (now() - Date.parse(oldest)) / 1000),
    ),
    figure("bytes", "Size of what is kept, with what has a receipt and is kept for a resend.", ({ bytes }) => bytes),
  ];
}

/** How large a book is. */
export function bookFigures(book: Book): Figure[] {
  return [
    {
      name: "rastro_book_records",
      help: "Records in the book.",
      kind: "gauge",
      labels: ["book"],
      read: () => [{ labels: { book: book.name }, value: book.head().size }],
    },
  ];
}
