import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";

/** A figure with the labels that tell it from the others of its name. */
export type Sample = { labels: Readonly<Record<string, string>>; value: number };

/** What one name shows, read when it is asked for: a hot path only counts in plain numbers of its own. */
export type Metric = {
  /** By the conventions of Prometheus: `rastro_<part>_<what>_<unit>`, counters with `_total`. */
  name: string;
  help: string;
  kind: "counter" | "gauge";
  labels?: readonly string[];
  read: () => number | Sample[] | Promise<number | Sample[]>;
};

/** The figures of one process, in the text format of Prometheus (version 0.0.4). */
export interface Metrics {
  add(...metrics: Metric[]): void;
  /** Names of ours, without those of Node and the process. */
  names(): string[];
  text(): Promise<string>;
}

/** The media type of {@link Metrics.text}. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** @param process - stands as the label `process` on every figure, those of Node (event loop, heap, collections) included. */
export function createMetrics(process: string): Metrics {
  const registry = new Registry();
  const names: string[] = [];
  registry.setDefaultLabels({ process });
  collectDefaultMetrics({ register: registry });
  return {
    add(...metrics) {
      for (const metric of metrics) {
        names.push(metric.name);
        register(registry, metric);
      }
    },
    names: () => [...names],
    text: () => registry.metrics(),
  };
}

function register(registry: Registry, { name, help, kind, labels = [], read }: Metric): void {
  const shared = { name, help, labelNames: [...labels], registers: [] };
  const gauge = () =>
    new Gauge({
      ...shared,
      async collect() {
        this.reset();
        for (const sample of samplesOf(await read())) this.set({ ...sample.labels }, sample.value);
      },
    });
  const counter = () =>
    new Counter({
      ...shared,
      async collect() {
        this.reset();
        for (const sample of samplesOf(await read())) this.inc({ ...sample.labels }, sample.value);
      },
    });
  registry.registerMetric(kind === "gauge" ? gauge() : counter());
}

function samplesOf(read: number | Sample[]): Sample[] {
  return typeof read === "number" ? [{ labels: {}, value: read }] : read;
}

/**
 * Puts the texts of several processes together: Prometheus wants all figures of one name in one place, under one
 * description.
 */
export function joinMetrics(texts: readonly string[]): string {
  const families = new Map<string, { about: string[]; samples: string[] }>();
  for (const text of texts) {
    let family = { about: [] as string[], samples: [] as string[] };
    for (const line of text.split("\n")) {
      const [, name] = /^# (?:HELP|TYPE) (\S+)/.exec(line) ?? [];
      if (name !== undefined) {
        family = families.get(name) ?? { about: [], samples: [] };
        families.set(name, family);
        if (family.samples.length === 0 && !family.about.includes(line)) family.about.push(line);
      } else if (line !== "") family.samples.push(line);
    }
  }
  return [...families.values()].flatMap(({ about, samples }) => [...about, ...samples, ""]).join("\n");
}
