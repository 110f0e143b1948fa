import { expect, it, vi } from "vitest";
import { openPersistence } from "../../broker/persistence/persistence.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { connectPacket, isConnack } from "../support/raw-mqtt.ts";

const USERS = { "ipc-01": "machine" } as const;
const PRESENCE = "machines/ipc-01/presence";

it("the will of who took a connection over is the one that is stored", async () => {
  const persistence = await openPersistence({ store: await Store.inMemory() });
  const { raw } = await startPlainHub(USERS, { persistence });
  const connect = async (text: string) => {
    const connection = await raw();
    const will = { topic: PRESENCE, payload: Buffer.from(text), qos: 1, retain: true };
    connection.send(connectPacket("ipc-01", { will }));
    await connection.next(isConnack);
    return connection;
  };
  const stored = async () => (await persistence.getWill({ id: "ipc-01:raw" }))?.payload.toString();
  const first = await connect("first");
  expect(await stored()).toBe("first");
  const second = await connect("second");
  await first.closed;
  await vi.waitFor(async () => {
    const [retained] = await persistence.createRetainedStream(PRESENCE).toArray();
    expect((retained as { payload: Buffer } | undefined)?.payload.toString()).toBe("first");
  });
  expect(await stored()).toBe("second");
  second.socket.destroy();
  await vi.waitFor(async () => expect(await stored()).toBeUndefined());
});
