import type { IPubackPacket, IPubrecPacket, Packet } from "mqtt-packet";
import { expect, it, onTestFinished } from "vitest";
import { openPersistence } from "../../../broker/persistence/persistence.ts";
import { type Database, openMemory } from "../../../lib/storage/level/database.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { FaultyDatabase } from "../../suites/faulty-database.ts";
import { inboxOf } from "../../support/inbox.ts";
import { startPlainHub } from "../../support/plain-hub.ts";
import { PowerDatabase } from "../../support/power-database.ts";
import { connectPacket, isConnack, type RawMqtt } from "../../support/raw-mqtt.ts";

/* Row 3: bare Aedes writes PUBACK before anything is stored, and also when it never is. */

const USERS = { "ipc-01": "machine", "ipc-02": "machine", eyes: "inspector" } as const;
const SESSION = { clean: false, clientId: "historian" };
const OWED = "machines/ipc-01/summary";
const END = "machines/ipc-02/presence";

async function hubOn(database: Database) {
  const store = await Store.onDatabase(database, "the test's store");
  const persistence = await openPersistence({ store });
  const plain = await startPlainHub(USERS, { persistence });
  return { ...plain, persistence };
}

/** A hub whose session of `eyes` is away, and which is owed {@link OWED}. */
async function hubWithAbsent(database: Database) {
  const started = await hubOn(database);
  const eyes = await started.connect("eyes", SESSION);
  await eyes.subscribeAsync({ [OWED]: { qos: 2 }, [END]: { qos: 1 } });
  await eyes.endAsync();
  return started;
}

async function machineOf({ raw }: { raw: () => Promise<RawMqtt> }, name: string): Promise<RawMqtt> {
  const machine = await raw();
  machine.send(connectPacket(name));
  await machine.next(isConnack);
  return machine;
}

function publish(topic: string, text: string, messageId: number, qos: 1 | 2 = 1, retain = false): Packet {
  return { cmd: "publish", topic, payload: text, qos, retain, dup: false, messageId };
}

const isAck = (packet: Packet): packet is IPubackPacket | IPubrecPacket =>
  packet.cmd === "puback" || packet.cmd === "pubrec";

it.each([
  { what: "PUBACK for what a session is owed", packet: publish(OWED, "1", 1), ack: "puback" },
  { what: "PUBREC for what a session is owed", packet: publish(OWED, "1", 1, 2), ack: "pubrec" },
  {
    what: "PUBACK for a retained message",
    packet: publish("machines/ipc-01/presence", "1", 1, 1, true),
    ack: "puback",
  },
])("$what comes after the synced write; others do not wait for it", async ({ packet, ack }) => {
  const database = new FaultyDatabase(await openMemory());
  const hub = await hubWithAbsent(database);
  const machine = await machineOf(hub, "ipc-01");
  const other = await machineOf(hub, "ipc-02");
  const release = database.hold();
  let acknowledged = false;
  machine.send(packet);
  const first = machine.next(isAck).then((found) => {
    acknowledged = true;
    return found;
  });
  // Nobody is owed these: many of them come and go before the disk is ready.
  for (let id = 1; id <= 50; id += 1) {
    other.send(publish("machines/ipc-02/summary", String(id), id));
    expect(await other.next(isAck)).toMatchObject({ cmd: "puback", messageId: id });
  }
  expect(acknowledged).toBe(false);
  release();
  expect(await first).toMatchObject({ cmd: ack, messageId: 1 });
});

it("publishes of one connection that come together share a synced write and keep their order across QoS 0 and 1", async () => {
  const database = new FaultyDatabase(await openMemory());
  const hub = await hubWithAbsent(database);
  const scene = await hub.connect("eyes", { clientId: "live" });
  const live = inboxOf(scene);
  await scene.subscribeAsync("machines/#", { qos: 1 });
  const machine = await machineOf(hub, "ipc-01");
  database.batches.length = 0;
  const packets = Array.from({ length: 100 }, (_, index): Packet =>
    index % 2 === 0
      ? publish(OWED, String(index), index + 1)
      : { cmd: "publish", topic: OWED, payload: String(index), qos: 0, retain: false, dup: false },
  );
  machine.send(...packets);
  await live.until((messages) => messages.length === 100);
  expect(live.messages.map(({ text }) => Number(text))).toEqual(packets.map((_, index) => index));
  const written = database.batches.filter((batch) => batch.some(({ key }) => key[0] === "g".charCodeAt(0)));
  expect(written.length).toBeLessThanOrEqual(2);
});

it("a full disk: no PUBACK, the sender is cut off and sends again, everything else goes on", async () => {
  const database = new FaultyDatabase(await openMemory());
  const hub = await hubWithAbsent(database);
  const scene = await hub.connect("eyes", { clientId: "live" });
  const live = inboxOf(scene);
  await scene.subscribeAsync("machines/#", { qos: 1 });
  const other = await machineOf(hub, "ipc-02");
  database.faults.push("not-written");
  database.openFails = true;

  const cutOff = await machineOf(hub, "ipc-01");
  const acks: Packet[] = [];
  cutOff.next(isAck).then(
    (ack) => acks.push(ack),
    () => undefined,
  );
  cutOff.send(publish(OWED, "1", 1), publish(OWED, "2", 2));
  await cutOff.closed;
  expect(acks).toEqual([]);
  expect(hub.persistence.fault()).toContain("no space left on device");
  other.send(publish("machines/ipc-02/summary", "goes on", 1));
  expect(await other.next(isAck)).toMatchObject({ messageId: 1 });
  await live.on("machines/ipc-02/summary");

  database.openFails = false;
  const recovered = Promise.withResolvers<void>();
  hub.persistence.onFault((reason) => {
    if (reason === null) recovered.resolve();
  });
  await recovered.promise;
  const again = await machineOf(hub, "ipc-01");
  again.send(publish(OWED, "1", 1), publish(OWED, "2", 2));
  expect(await again.next(isAck)).toMatchObject({ messageId: 1 });
  expect(await again.next(isAck)).toMatchObject({ messageId: 2 });
  const back = await hub.resume("eyes", SESSION);
  await back.until((messages) => messages.length === 2);
  expect(back.messages.map(({ text }) => text)).toEqual(["1", "2"]);
  expect(live.messages.filter(({ topic }) => topic === OWED).map(({ text }) => text)).toEqual(["1", "2"]);
});

it.each([1, 2, 3, 4, 5])(
  "a power cut leaves everything that was acknowledged, in order and once (%i)",
  async (round) => {
    const database = await PowerDatabase.open(4);
    const hub = await hubWithAbsent(database);
    const machine = await machineOf(hub, "ipc-01");
    let acknowledged = 0;
    let sent = 0;
    const sendNext = () => {
      sent += 1;
      machine.send(publish(OWED, String(sent), sent));
    };
    for (let flying = 0; flying < 100; flying += 1) sendNext();
    while (acknowledged < 300 + round * 37) {
      expect(await machine.next(isAck)).toMatchObject({ messageId: acknowledged + 1 });
      acknowledged += 1;
      sendNext();
    }
    const after = await hubOn(database.cut());
    onTestFinished(() => void machine.socket.destroy());
    const last = await machineOf(after, "ipc-02");
    last.send(publish(END, "end", 1));
    await last.next(isAck);
    const back = await after.resume("eyes", SESSION);
    await back.on(END);
    const got = back.messages.filter(({ topic }) => topic === OWED).map(({ text }) => Number(text));
    expect(got).toEqual(Array.from(got, (_, index) => index + 1));
    expect(got.length).toBeGreaterThanOrEqual(acknowledged);
  },
);
