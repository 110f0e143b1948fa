import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt, { type MqttClient } from "mqtt";
import { describe, expect, type TestContext, test } from "vitest";
import { PROFILES, type Profile, SERVICE_NAMES } from "../../lib/contracts/directory.ts";
import { mayPublish, mayReceive, ruleFor } from "../../lib/contracts/permissions.ts";
import { type AclUser, mosquittoAcl } from "../../tools/acl/mosquitto-acl.ts";
import { CONTROL_NOT_RUN, findMosquitto, freePort, running } from "./brokers.ts";

/*
 * A real Mosquitto with the generated file must decide about each message as the table does. Two of each profile, so
 * that a right to one's own topics cannot pass for a right to everybody's.
 */

const PERSONAL: readonly Profile[] = PROFILES.filter((profile) => profile !== "service");
const USERS: readonly AclUser[] = [
  ...PERSONAL.flatMap((profile) => [1, 2].map((number) => ({ name: `${profile}-${number}`, profile }))),
  ...SERVICE_NAMES.map((name): AclUser => ({ name, profile: "service" })),
];
const OBSERVER = "observer";

/** Every kind of topic, for each of the people, machines and services that it could be about. */
const TOPICS: readonly string[] = [
  ...["machine-1", "machine-2"].flatMap((machine) =>
    [
      "status",
      "summary",
      "presence",
      "events/production",
      "events/audit",
      "receipts/production",
      "receipts/audit",
      "commands/c1",
      "commands/c1/ack",
      "commands/c1/progress",
      "commands/c1/result",
      "witness/audit/add/w1",
      "witness/audit/response/w1",
      "witness/audit/alarm",
      "other",
    ].map((leaf) => `machines/${machine}/${leaf}`),
  ),
  ...SERVICE_NAMES.flatMap((name) =>
    ["events/audit", "events/production", "receipts/audit", "receipts/production"].map(
      (leaf) => `services/${name}/${leaf}`,
    ),
  ),
  ...["operator-1", "inspector-1", "administrator-2"].flatMap((user) => [
    ...SERVICE_NAMES.map((name) => `requests/${user}/s1/${name}/entry-add/r1`),
    `requests/${user}/s1`,
    `responses/${user}/s1/r1`,
    `directory/principals/${user}`,
  ]),
  "production/totals",
  "books/production/checkpoint",
  "books/audit/checkpoint",
  "books/audit/other",
  "anything",
  "any/thing/else",
];

type Control = { connect(user: string): Promise<MqttClient> };

async function startWithAcl(context: TestContext): Promise<Control | null> {
  const binary = findMosquitto();
  if (binary === null) {
    console.warn(CONTROL_NOT_RUN);
    await context.annotate(CONTROL_NOT_RUN, "warning");
    return null;
  }
  const folder = await mkdtemp(join(tmpdir(), "rastro-acl-"));
  const port = await freePort();
  const observer = `user ${OBSERVER}\ntopic readwrite #\n`;
  await writeFile(join(folder, "acl"), `${mosquittoAcl(USERS)}\n${observer}`);
  const names = [...USERS.map(({ name }) => name), OBSERVER];
  await writeFile(join(folder, "passwords"), names.map((name) => `${name}:${name}-pass\n`).join(""), { mode: 0o600 });
  execFileSync("mosquitto_passwd", ["-U", join(folder, "passwords")]);
  const settings = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous false",
    `acl_file ${join(folder, "acl")}`,
    `password_file ${join(folder, "passwords")}`,
    // The observer is sent thousands of messages at once, and each counts. Not 0: Mosquitto takes that as no limit, but
    // disconnects whoever then publishes what is denied.
    "max_queued_messages 100000",
    "max_inflight_messages 0",
    "sys_interval 1",
    "user root",
  ];
  await writeFile(join(folder, "mosquitto.conf"), `${settings.join("\n")}\n`);
  const child = spawn(binary, ["-c", join(folder, "mosquitto.conf")], { stdio: ["ignore", "ignore", "pipe"] });
  const clients: MqttClient[] = [];
  context.onTestFinished(async () => {
    await Promise.all(clients.map((client) => client.endAsync(true)));
    const gone = once(child, "exit");
    if (child.exitCode === null) child.kill("SIGKILL");
    await gone;
    await rm(folder, { recursive: true });
  });
  await running(child);
  return {
    async connect(user) {
      const options = { protocolVersion: 4, reconnectPeriod: 0, username: user, password: `${user}-pass` } as const;
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, options);
      client.on("error", () => undefined);
      clients.push(client);
      return client;
    },
  };
}

/** What a client is sent until a message with this text comes. */
async function arrivalsUntil(client: MqttClient, end: string): Promise<{ topic: string; text: string }[]> {
  const seen: { topic: string; text: string }[] = [];
  await new Promise<void>((resolve) => {
    client.on("message", (topic, payload) => {
      const text = payload.toString();
      if (text === end) resolve();
      else seen.push({ topic, text });
    });
  });
  return seen;
}

describe("Mosquitto with the generated file", () => {
  test("lets each profile publish what the table says, and nothing else", async (context) => {
    const control = await startWithAcl(context);
    if (control === null) return;
    const observer = await control.connect(OBSERVER);
    await observer.subscribeAsync("#", { qos: 1 });
    const arrived = arrivalsUntil(observer, "end");
    for (const { name } of USERS) {
      const client = await control.connect(name);
      // Acknowledged either way: MQTT 3.1.1 has no refusal of a publish.
      await Promise.all(TOPICS.map((topic) => client.publishAsync(topic, name, { qos: 1 })));
    }
    await observer.publishAsync("anything", "end", { qos: 1 });
    const decided = (await arrived).map(({ topic, text }) => `${text} ${topic}`).toSorted();
    const expected = USERS.flatMap(({ name, profile }) => {
      const rule = ruleFor(profile, name);
      return TOPICS.filter((topic) => mayPublish(rule, topic)).map((topic) => `${name} ${topic}`);
    });
    expect(expected.length).toBeGreaterThan(50);
    expect(decided).toEqual(expected.toSorted());
  });

  test("delivers to each profile what the table says, and nothing else, though it grants any subscription", async (context) => {
    const control = await startWithAcl(context);
    if (control === null) return;
    const observer = await control.connect(OBSERVER);
    const outcomes = [];
    for (const { name, profile } of USERS) {
      const rule = ruleFor(profile, name);
      const expected = TOPICS.filter((topic) => mayReceive(rule, topic));
      const last = expected.at(-1);
      if (last === undefined) throw new Error(`${name} may receive none of the topics`);
      const client = await control.connect(name);
      const arrived = arrivalsUntil(client, "end");
      await client.subscribeAsync("#", { qos: 1 });
      await Promise.all(TOPICS.map((topic) => observer.publishAsync(topic, "x", { qos: 1 })));
      await observer.publishAsync(last, "end", { qos: 1 });
      outcomes.push({
        name,
        topics: (await arrived).map(({ topic }) => topic).toSorted(),
        expected: expected.toSorted(),
      });
      await client.endAsync();
    }
    expect(outcomes.map(({ name, topics }) => ({ name, topics }))).toEqual(
      outcomes.map(({ name, expected }) => ({ name, topics: expected })),
    );
  });

  test("shows its own figures to those whom the table shows them", async (context) => {
    const control = await startWithAcl(context);
    if (control === null) return;
    const shown: string[] = [];
    for (const { name, profile } of USERS) {
      const rule = ruleFor(profile, name);
      const client = await control.connect(name);
      const own = TOPICS.findLast((topic) => mayReceive(rule, topic)) ?? "";
      const observer = await control.connect(OBSERVER);
      const arrived = arrivalsUntil(client, "end");
      // Retained ones are sent before the acknowledgement of the subscription.
      await client.subscribeAsync(["$SYS/broker/version", own], { qos: 1 });
      await observer.publishAsync(own, "end", { qos: 1 });
      if ((await arrived).some(({ topic }) => topic === "$SYS/broker/version")) shown.push(name);
      await Promise.all([client.endAsync(), observer.endAsync()]);
    }
    const expected = USERS.filter(({ name, profile }) => mayReceive(ruleFor(profile, name), "$SYS/broker/version"));
    expect(shown).toEqual(expected.map(({ name }) => name));
  });
});
