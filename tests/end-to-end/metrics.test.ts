import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { gatherMetrics } from "../../console/gather-metrics.ts";
import { createMetrics } from "../../lib/runtime/metrics.ts";
import { listRunFiles } from "../../lib/runtime/run-files.ts";
import { figuresOf } from "../../services/standby/figures.ts";
import { createAskingGate } from "../../services/witness/asking-gate.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import { type Family, parseMetrics } from "../support/prometheus.ts";

const OPERATIONS = readFileSync(join(import.meta.dirname, "../../docs/operations.md"), "utf8");
const PROCESSES = ["audit", "broker", "edge-agent", "fleet", "production"];

let plant: Plant;
beforeAll(async () => void (plant = await startPlant()), 60_000);
afterAll(async () => {
  await plant.stop();
  await plant.remove();
});

async function scrape(): Promise<Map<string, Family>> {
  const runFiles = () => listRunFiles(plant.settings.data);
  return parseMetrics(await gatherMetrics({ runFiles, own: createMetrics("console"), fetch }));
}

const valueOf = (families: Map<string, Family>, name: string, labels: Record<string, string>) =>
  families
    .get(name)
    ?.samples.find((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))?.value;

it("everything that is served stands in docs/operations.md, and nothing else does", async () => {
  const here = [...(await scrape()).keys()].filter((name) => name.startsWith("rastro_"));
  // A standby and a witness of its own run on other computers.
  const gate = createAskingGate({ proxies: [], clock: () => 0 });
  const served = [...here, ...[...figuresOf({} as never), ...gate.figures].map(({ name }) => name)];
  const listed = [...OPERATIONS.matchAll(/^\| `(rastro_\w+)`/gm)].map(([, name]) => name ?? "");
  expect(served.toSorted()).toEqual(listed.toSorted());
});

it("figures follow what happens: statuses arrive, nothing is behind, every process is up", async () => {
  const first = await scrape();
  const received = (families: Map<string, Family>) =>
    valueOf(families, "rastro_hub_messages_received_total", { class: "status" }) ?? 0;
  await expect.poll(async () => received(await scrape()), { timeout: 10_000 }).toBeGreaterThan(received(first) + 100);
  const up = first.get("rastro_up")?.samples.map(({ labels, value }) => [labels["process"], value]);
  expect(up?.toSorted()).toEqual(["console", ...PROCESSES].toSorted().map((name) => [name, 1]));
  expect(valueOf(first, "rastro_hub_connections", { profile: "machine", transport: "tcp" })).toBe(2);
  expect(valueOf(first, "rastro_book_records", { book: "audit" })).toBeGreaterThan(0);
  expect(first.get("rastro_alarm")?.samples.every(({ value }) => value === 0)).toBe(true);
});

it("a process that is gone is down, and the others are told of as before", async () => {
  plant.processes.audit.kill();
  const families = await scrape();
  expect(valueOf(families, "rastro_up", { process: "audit" })).toBe(0);
  expect(valueOf(families, "rastro_up", { process: "broker" })).toBe(1);
});
