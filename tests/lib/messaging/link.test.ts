import { describe, expect, it } from "vitest";
import type { After } from "../../../lib/messaging/timing.ts";
import { recordLog } from "../../support/log-lines.ts";
import { freePort, PLAIN_BROKERS, startAedes, startMute } from "../../support/plain-broker.ts";
import { watch } from "../../support/until.ts";
import { connect, nextDown, open, ups } from "./open.ts";

describe.each(PLAIN_BROKERS)("a link to $name", ({ start }) => {
  it("publishes and receives, QoS 0 and 1, live and retained", async () => {
    const { url } = await start();
    const writer = await connect(url, "writer");
    await writer.publish("kept", "first", { qos: 1, retain: true });
    const reader = await connect(url, "reader");
    const seen = watch<string[]>([]);
    await reader.subscribe(["kept", "live/+"], (topic, payload, retain) => {
      seen.value.push(`${topic} ${payload.toString()} ${retain}`);
      seen.changed();
    });
    await writer.publish("live/a", "one", { qos: 1 });
    await writer.publish("live/b", Buffer.from("two"));
    const texts = await seen.until((value) => value.length === 3);
    expect(texts.toSorted()).toEqual(["kept first true", "live/a one false", "live/b two false"]);
  });

  it("comes back after the broker was killed, with its subscriptions, before it says so", async () => {
    const broker = await start();
    const reader = await connect(broker.url, "reader");
    const writer = await connect(broker.url, "writer");
    const seen = watch<string[]>([]);
    await reader.subscribe("news", (_topic, payload) => {
      seen.value.push(payload.toString());
      seen.changed();
    });
    const back = Promise.all([ups(reader, 1), ups(writer, 1)]);
    await broker.kill();
    await broker.start();
    await back;
    await writer.publish("news", "after", { qos: 1 });
    expect(await seen.until((value) => value.length === 1)).toEqual(["after"]);
  });

  it("grants a subscription that was made while the broker was away", async () => {
    const broker = await start();
    const link = await connect(broker.url, "reader");
    const down = nextDown(link);
    await broker.kill();
    await down;
    const granted = link.subscribe("later", () => {});
    await broker.start();
    await expect(granted).resolves.toBeUndefined();
  });

  it("rejects a publish at once while the broker is away, and sends it to nobody later", async () => {
    const broker = await start();
    const link = await connect(broker.url, "writer");
    const down = nextDown(link);
    await broker.kill();
    await down;
    const rejected = link.publish("lost", "1", { qos: 1 });
    await expect(rejected).rejects.toMatchObject({ code: "not_reachable" });
    await broker.start();
    const reader = await connect(broker.url, "reader");
    const seen = watch<string[]>([]);
    await reader.subscribe("#", (topic) => {
      seen.value.push(topic);
      seen.changed();
    });
    await link.whenConnected();
    await link.publish("sent", "2", { qos: 1 });
    expect(await seen.until((value) => value.length > 0)).toEqual(["sent"]);
  });

  it("sends its will when it is cut off and not when it is closed", async () => {
    const { url } = await start();
    const reader = await connect(url, "reader");
    const seen = watch<string[]>([]);
    await reader.subscribe("wills", (_topic, payload) => {
      seen.value.push(payload.toString());
      seen.changed();
    });
    const will = (connection: string) => ({ topic: "wills", payload: connection, qos: 1 as const, retain: false });
    const link = await connect(url, "machine", { will });
    const first = link.connection;
    const back = ups(link, 1);
    link.stream()?.destroy();
    expect(await seen.until((value) => value.length === 1)).toEqual([first]);
    await back;
    expect(link.connection).not.toBe(first);
    await link.close();
    await reader.publish("wills", "end", { qos: 1 });
    expect(await seen.until((value) => value.includes("end"))).toEqual([first, "end"]);
  });
});

describe("a link", () => {
  it("asks for a new password before each connection", async () => {
    const tried: string[] = [];
    const broker = await startAedes({ password: (_user, password) => tried.push(password) > 0 });
    let asked = 0;
    const link = await connect(broker.url, "service", { password: async () => `token-${(asked += 1)}` });
    const back = ups(link, 1);
    link.stream()?.destroy();
    await back;
    expect(tried).toEqual(["token-1", "token-2"]);
  });

  it("pauses for 100 ms to 5 s between attempts, doubling", async () => {
    const pauses = watch<number[]>([]);
    const tasks: (() => void)[] = [];
    const after: After = (ms, task) => {
      pauses.value.push(ms);
      tasks.push(task);
      pauses.changed();
      return () => {};
    };
    const url = `mqtt://127.0.0.1:${await freePort()}`;
    open(url, "service", { after, random: (bytes) => Buffer.alloc(bytes, 0xff) });
    for (let attempt = 1; attempt <= 8; attempt += 1) {
      await pauses.until((value) => value.length === attempt);
      tasks.at(-1)?.();
    }
    await pauses.until((value) => value.length === 9);
    expect(pauses.value).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  });

  it("rejects what was in flight when the connection goes, and never sends it again", async () => {
    const published = watch<string[]>([]);
    let answering = false;
    const broker = await startAedes({
      answerPublish: () => answering,
      published: (topic) => {
        published.value.push(topic);
        published.changed();
      },
    });
    const link = await connect(broker.url, "machine");
    const inFlight = link.publish("first", "1", { qos: 1 });
    await published.until((topics) => topics.includes("first"));
    const back = ups(link, 1);
    link.stream()?.destroy();
    await expect(inFlight).rejects.toMatchObject({ code: "not_reachable" });
    answering = true;
    await back;
    await link.publish("second", "2", { qos: 1 });
    expect(published.value).toEqual(["first", "second"]);
  });

  it("tells of a subscription that the broker refuses and keeps the granted ones", async () => {
    const { url } = await startAedes({ subscribe: (filter) => filter !== "secret/#" });
    const link = await connect(url, "reader");
    const refused = link.subscribe(["open", "secret/#"], () => {});
    await expect(refused).rejects.toMatchObject({ code: "not_allowed", message: expect.stringContaining("secret/#") });
    await expect(link.subscribe("open", () => {})).resolves.toBeUndefined();
  });

  it("survives a handler that throws or rejects, and logs topic and first 200 bytes", async () => {
    const { url } = await startAedes();
    const { log, lines } = recordLog();
    const link = await connect(url, "reader", { log });
    const handled = watch<string[]>([]);
    await link.subscribe("a/#", (topic) => {
      handled.value.push(topic);
      handled.changed();
      if (topic === "a/throws") throw new Error("thrown");
      return topic === "a/rejects" ? Promise.reject(new Error("rejected")) : undefined;
    });
    await link.publish("a/throws", "x".repeat(300), { qos: 1 });
    await link.publish("a/rejects", "y", { qos: 1 });
    await link.publish("a/fine", "z", { qos: 1 });
    await handled.until((topics) => topics.includes("a/fine"));
    const failures = lines.filter((line) => line.msg === "handling a message failed");
    expect(failures.map((line) => [line["topic"], line["payload"]])).toEqual([
      ["a/throws", "x".repeat(200)],
      ["a/rejects", "y"],
    ]);
    expect(link.connected).toBe(true);
  });

  it("goes on trying when its password is refused, says so once, and connects when it is right", async () => {
    let right = false;
    const tries = watch({ count: 0 });
    const { url } = await startAedes({
      password: () => {
        tries.value.count += 1;
        tries.changed();
        return right;
      },
    });
    const { log, lines } = recordLog();
    const link = open(url, "machine", { log });
    await expect(link.whenConnected({ timeoutMs: 20_000 })).rejects.toMatchObject({ code: "bad_credentials" });
    await tries.until(({ count }) => count >= 3);
    right = true;
    await link.whenConnected();
    expect(lines.filter((line) => line["code"] === "bad_credentials")).toHaveLength(1);
    expect(link.refusal).toBeNull();
  });

  it("counts a password that cannot be made as a failed attempt", async () => {
    const { url } = await startAedes();
    let asked = 0;
    const password = () => ((asked += 1) === 1 ? Promise.reject(new Error("no hub time")) : Promise.resolve("secret"));
    const { log, lines } = recordLog();
    await connect(url, "machine", { password, log });
    expect(asked).toBe(2);
    expect(lines[0]?.msg).toContain("no hub time");
  });

  it("gives up waiting after a time", async () => {
    const link = open(`mqtt://127.0.0.1:${await freePort()}`, "service");
    await expect(link.whenConnected({ timeoutMs: 1 })).rejects.toMatchObject({ code: "not_reachable" });
  });

  it("closes at once while a broker that hangs keeps it waiting", async () => {
    const { url, accepted } = await startMute();
    const link = open(url, "service");
    await accepted;
    const waiting = link.whenConnected();
    const subscribing = link.subscribe("x", () => {});
    const closing = link.close();
    await expect(waiting).rejects.toMatchObject({ code: "not_reachable" });
    await expect(subscribing).rejects.toMatchObject({ code: "not_reachable" });
    await closing;
    await expect(link.publish("x", "1")).rejects.toMatchObject({ code: "not_reachable" });
  });

  it("gives up a connection whose CONNACK does not come", async () => {
    const { url } = await startMute();
    const link = open(url, "service", { timeoutMs: 20 });
    await expect(link.whenConnected({ timeoutMs: 300 })).rejects.toMatchObject({
      code: "not_reachable",
      message: expect.stringContaining("connack timeout"),
    });
  });

  it("lets acknowledgements come in before it closes", async () => {
    const published: string[] = [];
    const { url } = await startAedes({ published: (topic) => published.push(topic) });
    const link = await connect(url, "machine");
    const sent = link.publish("last", "word", { qos: 1 });
    await link.close();
    await expect(sent).resolves.toBeUndefined();
    expect(published).toEqual(["last"]);
  });
});
