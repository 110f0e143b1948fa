import mqtt from "mqtt";
import { expect, it, onTestFinished } from "vitest";
import { inboxOf } from "../support/inbox.ts";
import { startPlainHub } from "../support/plain-hub.ts";

const USERS = { "ipc-01": "machine", eyes: "inspector", maria: "operator" } as const;

it("tells who is in, over TCP and over WebSocket, until they have gone", async () => {
  const { connect, hub } = await startPlainHub(USERS, { wsPort: 0, now: () => 1_795_503_360_738 });
  const maria = await connect("maria", { clientId: "screen:1" });
  const browser = await mqtt.connectAsync(hub.wsUrl ?? "", {
    username: "eyes",
    password: "eyes-pass",
    clientId: "tab",
  });
  onTestFinished(() => browser.endAsync(true));
  const common = { session: null, address: "127.0.0.1", since: 1_795_503_360_738 };
  expect(hub.live()).toEqual([
    { user: "maria", client: "screen:1", transport: "tcp", ...common },
    { user: "eyes", client: "tab", transport: "websocket", ...common },
  ]);
  await maria.endAsync();
  await expect.poll(() => hub.live().map(({ user }) => user)).toEqual(["eyes"]);
});

it("ends those that are picked and no others, on both transports, and tells why", async () => {
  const { connect, hub, access } = await startPlainHub(USERS, { wsPort: 0 });
  const eyes = await connect("eyes");
  const inbox = inboxOf(eyes);
  await eyes.subscribeAsync("machines/#");
  const will = { topic: "machines/ipc-01/presence", payload: Buffer.from("gone"), qos: 1 as const, retain: true };
  const machine = await connect("ipc-01", { will, clientId: "a" });
  const overWebSocket = await mqtt.connectAsync(hub.wsUrl ?? "", {
    username: "ipc-01",
    password: "ipc-01-pass",
    clientId: "b",
    reconnectPeriod: 0,
  });
  const closed = [machine, overWebSocket].map(
    (client) => new Promise<void>((resolve) => client.once("close", () => resolve())),
  );

  expect(hub.disconnect(({ user }) => user === "ipc-01", "revoked")).toBe(2);
  expect(hub.live().map(({ user }) => user)).toEqual(["eyes"]);
  await Promise.all(closed);
  // What it wanted said when it breaks off is said.
  expect(await inbox.on("machines/ipc-01/presence")).toMatchObject({ text: "gone" });
  expect(access.filter(({ kind }) => kind === "disconnected")).toEqual(
    ["ipc-01:a", "ipc-01:b"].map((subject) => ({
      kind: "disconnected",
      user: "ipc-01",
      address: "127.0.0.1",
      code: null,
      subject,
      why: "revoked",
    })),
  );
  expect(hub.disconnect(({ user }) => user === "ipc-01", "revoked")).toBe(0);
});
