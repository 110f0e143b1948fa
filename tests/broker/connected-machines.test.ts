import { describe, expect, it, vi } from "vitest";
import { createConnectedMachines } from "../../broker/connected-machines.ts";
import { openPersistence } from "../../broker/persistence/persistence.ts";
import { CONNECTED_MACHINES, ConnectedMachines } from "../../lib/contracts/connected-machines.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { inboxOf } from "../support/inbox.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { connectPacket, isConnack } from "../support/raw-mqtt.ts";

const USERS = { "press-1": "machine", "press-2": "machine", fleet: "service", ada: "operator" } as const;
const WAIT = { timeout: 10_000 };

function looking() {
  const told: ConnectedMachines[] = [];
  const looks = createConnectedMachines<object>((text) => told.push(ConnectedMachines.parse(JSON.parse(text))));
  return { told, look: looks.look };
}

describe("what the hub sees of machines", () => {
  const connection = (machine: string, bytesRead: number, address = "10.0.0.1") => ({ machine, address, bytesRead });

  it("is told at the first look and at changes, each connection counted", () => {
    const { told, look } = looking();
    const [one, other] = [{}, {}];
    look([]);
    look([]);
    look([
      [one, connection("press-1", 10, "10.0.0.2")],
      [other, connection("press-1", 10, "10.0.0.1")],
    ]);
    look([
      [one, connection("press-1", 20, "10.0.0.2")],
      [other, connection("press-1", 20, "10.0.0.1")],
    ]);
    look([[other, connection("press-1", 30)]]);
    expect(told.map(({ machines }) => machines)).toEqual([
      {},
      { "press-1": { connections: 2, addresses: ["10.0.0.1", "10.0.0.2"], quiet: false } },
      { "press-1": { connections: 1, addresses: ["10.0.0.1"], quiet: false } },
    ]);
  });

  it("is quiet after six looks at which nothing had come over any connection, and no more once a byte comes", () => {
    const { told, look } = looking();
    const [one, other] = [{}, {}];
    const quiet = () => told.at(-1)?.machines["press-1"]?.quiet;
    const lookAt = (first: number, second: number) =>
      look([
        [one, connection("press-1", first)],
        [other, connection("press-1", second)],
      ]);
    for (let turn = 0; turn <= 20; turn += 1) lookAt(5, turn);
    expect(quiet()).toBe(false);
    for (let turn = 0; turn < 5; turn += 1) lookAt(5, 20);
    expect(quiet()).toBe(false);
    lookAt(5, 20);
    expect(quiet()).toBe(true);
    lookAt(6, 20);
    expect(quiet()).toBe(false);
    expect(told).toHaveLength(3);
  });
});

describe("a hub", () => {
  it("says which machines it is connected with, and nobody else", async () => {
    const { connect, raw } = await startPlainHub(USERS);
    const fleet = await connect("fleet");
    const inbox = inboxOf(fleet);
    await fleet.subscribeAsync(CONNECTED_MACHINES);
    const machines = () =>
      ConnectedMachines.parse(
        JSON.parse(inbox.messages.findLast(({ topic }) => topic === CONNECTED_MACHINES)?.text ?? ""),
      ).machines;
    await vi.waitFor(() => expect(machines()).toEqual({}), WAIT);
    await connect("ada");
    const first = await raw();
    first.send(connectPacket("press-1"));
    await first.next(isConnack);
    await vi.waitFor(() => expect(machines()).toMatchObject({ "press-1": { connections: 1, quiet: false } }), WAIT);
    await vi.waitFor(() => expect(machines()["press-1"]?.quiet).toBe(true), WAIT);
    first.send({ cmd: "pingreq" });
    await vi.waitFor(() => expect(machines()["press-1"]?.quiet).toBe(false), WAIT);
    first.socket.destroy();
    await vi.waitFor(() => expect(machines()).toEqual({}), WAIT);
  });

  it("does not leave standing what an earlier start had retained", async () => {
    const persistence = await openPersistence({ store: await Store.inMemory() });
    const stale = JSON.stringify({ v: 1, machines: { "press-2": { connections: 1, addresses: [], quiet: false } } });
    await persistence.storeRetained({
      cmd: "publish",
      topic: CONNECTED_MACHINES,
      payload: Buffer.from(stale),
      qos: 0,
      retain: true,
      dup: false,
      brokerId: "earlier",
      brokerCounter: 1,
    });
    const { connect } = await startPlainHub(USERS, { persistence });
    const fleet = await connect("fleet");
    const inbox = inboxOf(fleet);
    await fleet.subscribeAsync(CONNECTED_MACHINES);
    expect((await inbox.on(CONNECTED_MACHINES)).text).toBe('{"v":1,"machines":{}}');
  });
});
