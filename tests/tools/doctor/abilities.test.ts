import mqtt from "mqtt";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Profile, Session } from "../../../lib/contracts/directory.ts";
import { parseRequest, topics } from "../../../lib/contracts/topics.ts";
import { checkAbilities } from "../../../tools/doctor/abilities.ts";
import { PLAIN_BROKERS } from "../../support/plain-broker.ts";

const RETAINED = { topic: "$SYS/broker/version", text: "rastro version 0.1.0" };

/** Answers requests to the fleet service on a plain broker. `answer` says after how many further ones; null: never. */
async function answering(url: string, answer: (asked: { length: number; count: number }) => "now" | "later" | "never") {
  const client = await mqtt.connectAsync(url, { protocolVersion: 4, username: "fleet" });
  onTestFinished(() => client.endAsync(true));
  let count = 0;
  const held: string[] = [];
  client.on("message", (topic, payload) => {
    const request = parseRequest(topic);
    if (request === null) return;
    const response = topics.response(request.user, request.session, request.request);
    const when = answer({ length: payload.length, count: count++ });
    if (when === "later") held.push(response);
    if (when === "now") for (const one of [response, ...held.splice(0)]) client.publish(one, "{}", { qos: 1 });
  });
  await client.subscribeAsync("requests/+/+/fleet/+/+", { qos: 1 });
}

function probe(url: string, profile: Profile = "operator", timeoutMs = 5000) {
  const session: Session = {
    token: "t",
    session: "s1",
    user: "maria",
    profile,
    expiresAt: "2999-01-01T00:00:00.000Z",
  };
  const clock = () => performance.now();
  return checkAbilities({ url, session, version: "0.1.0", now: Date.now, clock, id: "a1", timeoutMs });
}
const brief = (findings: Awaited<ReturnType<typeof probe>>) => findings.map(({ status, says }) => `${status} ${says}`);

/** Mosquitto alone gives its figures as retained messages; on a plain Aedes somebody has to. */
async function giveFigures(name: string, url: string): Promise<string> {
  if (name === "Mosquitto") return "ok another broker: mosquitto version";
  const client = await mqtt.connectAsync(url, { protocolVersion: 4, username: "broker" });
  onTestFinished(() => client.endAsync(true));
  await client.publishAsync(RETAINED.topic, RETAINED.text, { qos: 1, retain: true });
  return "ok the hub is of this program's version, 0.1.0";
}

describe.each(PLAIN_BROKERS)("what a broker can do, on $name", ({ name, start }) => {
  it("is tried out with requests and answers", async () => {
    const { url } = await start();
    const version = await giveFigures(name, url);
    await answering(url, () => "now");
    const findings = brief(await probe(url));
    expect(findings[0]).toBe("ok retained messages come by wildcard");
    expect(findings[1]).toContain(version);
    expect(findings[2]).toMatch(/^ok overlapping subscriptions bring a message (?:once|2 times)$/);
    expect(findings[3]).toBe("ok QoS 1 keeps the order of 40 requests and answers in flight");
    expect(findings[4]).toMatch(/^(?:ok|warn) from request to answer \d+\.\d ms \(median of 30\), at most \d+\.\d ms$/);
    expect(findings[5]).toBe("ok packets of 128 KiB are taken");
  });

  it("is told when answers come in another order, or large packets do not arrive", async () => {
    const { url } = await start();
    await giveFigures(name, url);
    // The first two are those of the subscriptions; then the third of forty in flight comes after the fourth.
    await answering(url, ({ length, count }) => (length > 100_000 ? "never" : count === 4 ? "later" : "now"));
    const findings = brief(await probe(url)).slice(3);
    expect(findings[0]).toBe("warn of 40 requests in flight the answers came in another order");
    expect(findings[2]).toBe("fail a packet of 128 KiB is not taken");
  });
});

describe("what a broker can do", () => {
  it("is told as far as the profile may find out", async () => {
    const [plain] = PLAIN_BROKERS;
    const { url } = (await plain?.start()) ?? { url: "" };
    await giveFigures("Aedes", url);
    expect(brief(await probe(url, "inspector"))).toEqual([
      "ok retained messages come by wildcard",
      "ok the hub is of this program's version, 0.1.0",
      "warn packets, order and latency were not tried: the profile inspector may not ask services",
    ]);
  });

  it("is a failure without retained figures and without answers", async () => {
    const [plain] = PLAIN_BROKERS;
    const { url } = (await plain?.start()) ?? { url: "" };
    const findings = await probe(url, "operator", 300);
    expect(findings.map(({ status }) => status)).toEqual(["fail", "fail", "fail", "fail", "fail"]);
    for (const { todo } of findings) expect(todo).not.toBeNull();
  });
});
