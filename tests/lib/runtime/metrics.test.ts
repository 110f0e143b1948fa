import { expect, it } from "vitest";
import { createMetrics, joinMetrics } from "../../../lib/runtime/metrics.ts";
import { parseMetrics } from "../../support/prometheus.ts";

it("figures are read at each scrape, counters as well, with the process as a label", async () => {
  const metrics = createMetrics("broker");
  let received = 3;
  metrics.add(
    { name: "rastro_test_received_total", help: "Received.", kind: "counter", read: () => received },
    {
      name: "rastro_test_waiting",
      help: "Waiting.",
      kind: "gauge",
      labels: ["book"],
      read: async () => [{ labels: { book: 'a "b"' }, value: 2 }],
    },
  );
  const figure = async (name: string) => parseMetrics(await metrics.text()).get(name);
  expect(await figure("rastro_test_received_total")).toEqual({
    type: "counter",
    samples: [{ labels: { process: "broker" }, value: 3 }],
  });
  received = 5;
  expect((await figure("rastro_test_received_total"))?.samples[0]?.value).toBe(5);
  expect(await figure("rastro_test_waiting")).toEqual({
    type: "gauge",
    samples: [{ labels: { book: 'a "b"', process: "broker" }, value: 2 }],
  });
  expect((await figure("process_cpu_seconds_total"))?.samples).toHaveLength(1);
});

it("texts of several processes become one, each name in one place", async () => {
  const texts = await Promise.all(["broker", "audit"].map((name) => createMetrics(name).text()));
  const joined = parseMetrics(joinMetrics(texts));
  const processes = joined.get("process_cpu_seconds_total")?.samples.map(({ labels }) => labels["process"]);
  expect(processes).toEqual(["broker", "audit"]);
});
