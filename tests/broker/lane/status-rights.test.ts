import { describe, expect, it, onTestFinished } from "vitest";
import { VIEWERS, type ViewRates } from "../../../lib/contracts/view-rates.ts";
import { connectByHand } from "../../support/by-hand.ts";
import { publishBytes } from "../../support/mqtt-bytes.ts";
import { startPlainHub } from "../../support/plain-hub.ts";

const USERS = {
  maria: "operator",
  eyes: "inspector",
  scada: "scada",
  console: "service",
  fleet: "service",
  production: "service",
  "ipc-a": "machine",
  "ipc-b": "machine",
} as const;
type User = keyof typeof USERS;

const OF_A = "machines/ipc-a/status";
const OF_B = "machines/ipc-b/status";
const EVERYONES = "machines/+/status";
/** Everybody at full rate, so that what is not sent was not allowed. */
const FULL = Object.fromEntries(VIEWERS.map((viewer) => [viewer, "full"])) as ViewRates;

const RETAINED_QOS0 = 0x31;
const status = (topic: string, payload: string) => publishBytes(topic, { first: RETAINED_QOS0, payload });

describe.each([
  { lane: "on", statusLane: true },
  { lane: "off", statusLane: false },
])("statuses with the lane $lane", ({ statusLane }) => {
  async function openHub() {
    const { hub, access } = await startPlainHub(USERS, { statusLane, viewRates: FULL });
    const connect = async (user: User, clientId: string = user) => {
      const client = await connectByHand(hub.url, user, { clientId });
      onTestFinished(() => void client.raw.socket.destroy());
      return client;
    };
    return { hub, access, connect };
  }

  it.for<[User, string, boolean]>([
    ["maria", EVERYONES, true],
    ["maria", OF_A, true],
    ["maria", "machines/ipc-a/#", false],
    ["maria", "+/+/status", false],
    ["maria", "#", false],
    ["eyes", EVERYONES, true],
    ["eyes", "+/+/status", true],
    ["eyes", "#", true],
    ["scada", "machines/#", true],
    ["console", EVERYONES, true],
    ["console", "machines/#", false],
    ["fleet", EVERYONES, true],
    ["fleet", "machines/#", false],
    ["production", EVERYONES, false],
    ["production", OF_A, false],
    ["ipc-b", OF_A, false],
    ["ipc-b", EVERYONES, false],
    ["ipc-b", "#", false],
    // A machine knows its own.
    ["ipc-b", OF_B, false],
  ])("%s asks for %s: granted %s, and what is granted arrives, live and retained", async ([user, filter, granted]) => {
    const { access, connect } = await openHub();
    const [machine, other, witness] = [
      await connect("ipc-a"),
      await connect("ipc-b"),
      await connect("scada", "witness"),
    ];
    await witness.subscribe({ [EVERYONES]: 0 });
    machine.raw.sendBytes(status(OF_A, "retained"));
    await witness.until((messages) => messages.some(({ text }) => text === "retained"));

    const reader = await connect(user, "reader");
    expect(await reader.subscribe({ [filter]: 1 })).toEqual([granted ? 1 : 128]);
    const refused = access.filter(({ kind }) => kind === "subscribe-refused");
    expect(refused.map(({ user, subject }) => [user, subject])).toEqual(granted ? [] : [[user, filter]]);

    machine.raw.sendBytes(status(OF_A, "live"));
    other.raw.sendBytes(status(OF_B, "of b"));
    await witness.until((messages) => messages.filter(({ text }) => text === "live" || text === "of b").length === 2);
    const expected = !granted ? [] : filter === OF_A ? ["retained", "live"] : ["retained", "live", "of b"];
    await reader.until(
      (messages) => messages.filter(({ topic }) => topic.endsWith("/status")).length >= expected.length,
    );
    // With an answer behind everything, nothing more can follow.
    await reader.unsubscribe(filter);
    const seen = reader.messages.filter(({ topic }) => topic.endsWith("/status")).map(({ text }) => text);
    expect(seen.toSorted()).toEqual(expected.toSorted());
  });

  it.for<User>(["ipc-b", "maria", "eyes", "scada", "console", "fleet", "production"])(
    "%s cannot speak for a machine: nobody gets it, nothing is retained, and the connection lives",
    async (user) => {
      const { hub, access, connect } = await openHub();
      const [machine, forger, witness] = [
        await connect("ipc-a"),
        await connect(user),
        await connect("eyes", "witness"),
      ];
      await witness.subscribe({ "#": 0 });
      machine.raw.sendBytes(status(OF_A, "true"));
      await witness.until((messages) => messages.some(({ text }) => text === "true"));

      // In one chunk with what a machine may say, so that it would have to be told from it.
      forger.raw.sendBytes(
        Buffer.concat([status(OF_B, "1"), status(OF_A, "forged"), status(OF_A, ""), status(OF_B, "2")]),
      );
      await forger.publish(OF_A, "forged", { qos: 1, retain: true });
      machine.raw.sendBytes(status(OF_A, "true again"));
      await witness.until((messages) => messages.some(({ text }) => text === "true again"));

      const late = await connect("scada", "late");
      await late.subscribe({ [OF_A]: 0 });
      await late.until((messages) => messages.length === 1);
      const ofA = witness.messages.filter(({ topic }) => topic === OF_A).map(({ text }) => text);
      expect(ofA).toEqual(["true", "true again"]);
      expect(late.messages).toMatchObject([{ text: "true again", retain: true }]);
      const ofB = witness.messages.filter(({ topic }) => topic === OF_B).map(({ text }) => text);
      expect(ofB).toEqual(user === "ipc-b" ? ["1", "2"] : []);
      const refused = access.filter(({ kind }) => kind === "publish-refused").map(({ subject }) => subject);
      expect(refused.filter((subject) => subject === OF_A)).toHaveLength(3);
      expect(hub.connected()).toBe(4);
    },
  );
});
