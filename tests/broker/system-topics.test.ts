import { expect, it } from "vitest";
import { inboxOf } from "../support/inbox.ts";
import { startPlainHub } from "../support/plain-hub.ts";

const USERS = { "ipc-01": "machine", eyes: "inspector", maria: "operator" } as const;
const NAMES = [
  "version",
  "uptime",
  "clients/connected",
  "clients/total",
  "messages/received",
  "messages/sent",
  "heap/current",
  "heap/maximum",
];

it("the hub's own figures are retained under Mosquitto's names", async () => {
  const { connect } = await startPlainHub(USERS);
  const maria = await connect("maria");
  const inbox = inboxOf(maria);
  await maria.subscribeAsync("$SYS/broker/#");
  for (const name of NAMES) expect(await inbox.on(`$SYS/broker/${name}`)).toMatchObject({ retain: true });
  expect((await inbox.on("$SYS/broker/version")).text).toMatch(/^rastro version \d+\.\d+\.\d+$/);
});

it("they follow what happens", async () => {
  const { connect } = await startPlainHub(USERS, { systemTopicsMs: 5 });
  const eyes = await connect("eyes");
  const inbox = inboxOf(eyes);
  await eyes.subscribeAsync("$SYS/#");
  const machine = await connect("ipc-01");
  await machine.publishAsync("machines/ipc-01/status", "1", { qos: 1 });
  const latest = (name: string) => inbox.messages.findLast(({ topic }) => topic === `$SYS/broker/${name}`)?.text;
  await inbox.until(() => latest("clients/connected") === "2" && latest("messages/received") === "1");
  expect(Number(latest("messages/sent"))).toBeGreaterThan(0);
});
