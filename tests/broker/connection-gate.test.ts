import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { connectionLimits, openFilesLimit } from "../../broker/connection-limits.ts";
import { FORWARDED_BY } from "../../lib/runtime/secret-file.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { connectPacket, isConnack } from "../support/raw-mqtt.ts";

const USERS = { "ipc-01": "machine", "ipc-02": "machine", eyes: "inspector", maria: "operator" } as const;
const FORWARDER = "what console and hub share";

describe("a connection too many", () => {
  it("of one address is closed before its CONNECT, until another one of it has gone", async () => {
    const { raw, access, hub } = await startPlainHub(USERS, { connectionLimits: { loopback: 2 } });
    const [first] = [await raw(), await raw()];
    const third = await raw();
    await third.closed;
    const refused = { kind: "connection-refused", user: null, address: "127.0.0.1", code: "busy" };
    expect(access).toMatchObject([{ ...refused, subject: "too many connections: address" }]);
    expect(hub.counters.refused.connection).toBe(1);
    first.socket.destroy();
    await first.closed;
    await expect
      .poll(async () => {
        const next = await raw();
        next.send(connectPacket("eyes"));
        return Promise.race([next.next(isConnack), next.closed]);
      })
      .toMatchObject({ returnCode: 0 });
  });

  it("under one name gets return code 3, and others are let in", async () => {
    const { raw, access } = await startPlainHub(USERS, { connectionLimits: { principal: 1 } });
    const answers = [];
    for (const user of ["eyes", "eyes", "maria"]) {
      const one = await raw();
      one.send(connectPacket(user, { clientId: `c-${answers.length}` }));
      answers.push((await one.next(isConnack)).returnCode);
    }
    expect(answers).toEqual([0, 3, 0]);
    expect(access.filter(({ kind }) => kind === "connection-refused")).toMatchObject([
      { user: "eyes", code: "busy", subject: "too many connections: principal" },
    ]);
  });

  it("of people leaves machines their share", async () => {
    const { raw } = await startPlainHub(USERS, { connectionLimits: { total: 4, machines: 2 } });
    const answers = [];
    for (const user of ["eyes", "maria", "eyes", "ipc-01", "ipc-02"]) {
      const one = await raw();
      one.send(connectPacket(user, { clientId: `c-${answers.length}` }));
      answers.push((await one.next(isConnack)).returnCode);
      // A refused one has left before the next comes.
      if (answers.at(-1) !== 0) await one.closed;
    }
    expect(answers).toEqual([0, 0, 3, 0, 0]);
  });

  it("is refused when everybody there has signed in", async () => {
    const { raw, connect, access } = await startPlainHub(USERS, { connectionLimits: { total: 2, machines: 1 } });
    await connect("ipc-01");
    await connect("eyes");
    await (
      await raw()
    ).closed;
    expect(access.at(-1)).toMatchObject({ kind: "connection-refused", subject: "too many connections: total" });
  });
});

describe("connections that say nothing", () => {
  it("count, and the oldest of them give way when all places are taken", async () => {
    const { raw, connect, access } = await startPlainHub(USERS, { connectionLimits: { total: 3, machines: 1 } });
    const silent = [await raw(), await raw(), await raw()];
    await connect("ipc-01");
    await silent[0]?.closed;
    await connect("eyes");
    await silent[1]?.closed;
    expect(silent[2]?.socket.destroyed).toBe(false);
    expect(access.filter(({ kind }) => kind === "connection-refused")).toMatchObject([
      { subject: "too many connections: gave-way" },
      { subject: "too many connections: gave-way" },
    ]);
  });

  it("or drip their CONNECT byte by byte are ended, and their places are free again", async () => {
    const o = { connectTimeoutMs: 200, connectionLimits: { loopback: 2 } };
    const { raw, connect, hub } = await startPlainHub(USERS, o);
    const [silent, slow] = [await raw(), await raw()];
    // Each byte is in time for the one before.
    const dripping = setInterval(() => slow.sendBytes(Buffer.from([0x10])), 20);
    onTestFinished(() => clearInterval(dripping));
    await Promise.all([silent.closed, slow.closed]);
    await connect("eyes");
    await connect("ipc-01");
    expect(hub.connected()).toBe(2);
  });

  it("or drip their handshake or say nothing after it are ended on the WebSocket port too", async () => {
    const { hub } = await startPlainHub(USERS, { wsPort: 0, connectTimeoutMs: 200 });
    const url = new URL(hub.wsUrl ?? "");
    const bare = [1, 2].map(() => connectTcp(Number(url.port), url.hostname));
    const [silent, slow] = bare;
    for (const socket of bare) {
      socket.on("error", () => undefined);
      onTestFinished(() => void socket.destroy());
    }
    slow?.write("GET /mqtt HTTP/1.1\r\nhost: hub\r\nx-never-ending: ");
    const dripping = setInterval(() => slow?.write("a"), 20);
    onTestFinished(() => clearInterval(dripping));
    const shaken = new WebSocket(url, "mqtt");
    const ended = [once(shaken, "close"), ...[silent, slow].map((socket) => once(socket?.resume() ?? shaken, "close"))];
    expect(await Promise.all(ended)).toHaveLength(3);
  });

  it("on the WebSocket port count as well, before the handshake and after it", async () => {
    const { hub, access } = await startPlainHub(USERS, { wsPort: 0, connectionLimits: { loopback: 2 } });
    const url = new URL(hub.wsUrl ?? "");
    const bare = connectTcp(Number(url.port), url.hostname);
    onTestFinished(() => void bare.destroy());
    await once(bare, "connect");
    const shaken = new WebSocket(url, "mqtt");
    onTestFinished(() => shaken.terminate());
    await once(shaken, "open");
    const third = new WebSocket(url, "mqtt");
    await once(third, "error");
    expect(access).toMatchObject([{ kind: "connection-refused", address: "127.0.0.1", code: "busy" }]);
  });
});

it("what the console forwards counts for the address that it names", async () => {
  const limits = { address: 1 };
  const { hub, access } = await startPlainHub(USERS, { wsPort: 0, forwarder: FORWARDER, connectionLimits: limits });
  const open = (address: string) => {
    const headers = { "x-forwarded-for": address, [FORWARDED_BY]: FORWARDER };
    const socket = new WebSocket(hub.wsUrl ?? "", "mqtt", { headers });
    onTestFinished(() => socket.terminate());
    return socket;
  };
  await once(open("10.0.0.1"), "open");
  expect((await once(open("10.0.0.1"), "close"))[0]).toBe(1013);
  await once(open("10.0.0.2"), "open");
  expect(access).toMatchObject([{ kind: "connection-refused", address: "10.0.0.1", code: "busy" }]);
});

describe("the presets", () => {
  it("take what the system lets be open, less a reserve, and keep a quarter for machines", () => {
    expect(connectionLimits({}, () => 4096)).toMatchObject({ total: 3584, machines: 896, address: 64 });
    expect(connectionLimits({}, () => 256)).toMatchObject({ total: 128, machines: 32 });
    expect(connectionLimits({}, () => null)).toMatchObject({ total: 10_000 });
    expect(connectionLimits({ total: 10, machines: 30 }, () => 4096)).toMatchObject({ total: 10, machines: 9 });
  });

  it.runIf(process.platform === "linux")("know how many files can be open", () => {
    expect(openFilesLimit()).toBeGreaterThan(0);
  });
});
