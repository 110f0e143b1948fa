import mqtt from "mqtt";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Credentials, Verdict } from "../../broker/admission.ts";
import { startHub } from "../../broker/start-hub.ts";
import { inboxOf } from "../support/inbox.ts";
import { freePort } from "../support/plain-broker.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { fixedAuthenticator, principal } from "../support/principals.ts";
import { connectPacket, isConnack } from "../support/raw-mqtt.ts";
import { SILENT } from "../support/silent.ts";

const USERS = { maria: "operator", joao: "operator", "ipc-01": "machine", eyes: "inspector" } as const;

async function returnCodeOf(packet: Parameters<typeof connectPacket>): Promise<number | undefined> {
  const { raw } = await startPlainHub(USERS);
  const connection = await raw();
  connection.send(connectPacket(...packet));
  const connack = await connection.next(isConnack);
  if (connack.returnCode !== 0) await connection.closed;
  return connack.returnCode;
}

describe("CONNECT", () => {
  it("is accepted with a registered name and its password", async () => {
    expect(await returnCodeOf(["maria"])).toBe(0);
  });

  it.each([
    ["MQTT 5", { protocolVersion: 5 }],
    ["MQTT 3.1", { protocolId: "MQIsdp", protocolVersion: 3 }],
  ])("of %s is refused with code 1", async (_name, change) => {
    expect(await returnCodeOf(["maria", change])).toBe(1);
  });

  it("without a client id for a persistent session is refused with code 2", async () => {
    const { raw } = await startPlainHub(USERS);
    const connection = await raw();
    // MQTT 3.1.1 §3.1, by hand since no library writes it: clean session 0, empty client id, user name, password.
    const text = (value: string) => Buffer.from([0, value.length, ...Buffer.from(value)]);
    const body = Buffer.concat([
      text("MQTT"),
      Buffer.from([4, 0xc0, 0, 0]),
      text(""),
      text("maria"),
      text("maria-pass"),
    ]);
    connection.sendBytes(Buffer.concat([Buffer.from([0x10, body.length]), body]));
    expect((await connection.next(isConnack)).returnCode).toBe(2);
    await connection.closed;
  });

  it.each([
    ["no user name", undefined, {}],
    ["a user name that is no segment", "Maria.Silva", {}],
    ["a wrong password", "maria", { password: Buffer.from("guess") }],
    ["an unknown name", "nobody", {}],
  ])("with %s is refused with code 4", async (_name, user, change) => {
    expect(await returnCodeOf([user, change])).toBe(4);
  });

  it("with a will that the user may not publish is refused with code 5", async () => {
    const will = { topic: "machines/ipc-02/presence", payload: Buffer.from("gone"), qos: 1, retain: true };
    expect(await returnCodeOf(["ipc-01", { will }])).toBe(5);
  });

  it.each([
    ["locked_out", 5],
    ["busy", 3],
  ] as const)("that the directory answers with %s is refused with code %i", async (refused, code) => {
    const authenticator = {
      authenticate: () => Promise.resolve({ refused }),
      principal: () => undefined,
      certified: () => ({ refused: "bad_credentials" as const }),
    };
    const { raw, access } = await startPlainHub(USERS, { authenticator });
    const connection = await raw();
    connection.send(connectPacket("maria"));
    expect((await connection.next(isConnack)).returnCode).toBe(code);
    expect(access).toMatchObject([{ kind: "sign-in-refused", user: "maria", code: refused }]);
  });

  it("fails with code 3, and the hub goes on, when the directory has a fault", async () => {
    const authenticator = {
      authenticate: () => Promise.reject(new Error("disk")),
      principal: () => undefined,
      certified: () => ({ refused: "bad_credentials" as const }),
    };
    const { raw, hub } = await startPlainHub(USERS, { authenticator });
    const connection = await raw();
    connection.send(connectPacket("maria"));
    expect((await connection.next(isConnack)).returnCode).toBe(3);
    expect(hub.listening()).toBe(true);
  });
});

describe("the client id", () => {
  it("belongs to the user: two users with the same one coexist", async () => {
    const { connect, hub } = await startPlainHub(USERS);
    const maria = await connect("maria", { clientId: "screen" });
    const joao = await connect("joao", { clientId: "screen" });
    await maria.subscribeAsync("responses/maria/#");
    expect([maria.connected, joao.connected, hub.connected()]).toEqual([true, true, 2]);
  });

  it("of the same user takes the earlier connection over", async () => {
    const { connect, hub } = await startPlainHub(USERS);
    const first = await connect("maria", { clientId: "screen" });
    const gone = new Promise<void>((resolve) => first.once("close", () => resolve()));
    const second = await connect("maria", { clientId: "screen" });
    await gone;
    await second.subscribeAsync("responses/maria/#");
    expect([second.connected, hub.connected()]).toEqual([true, 1]);
  });

  it("may be empty for a clean session, any number of times", async () => {
    const { raw, hub } = await startPlainHub(USERS);
    for (let count = 0; count < 2; count += 1) {
      const connection = await raw();
      connection.send(connectPacket("maria", { clientId: "" }));
      await connection.next(isConnack);
    }
    expect(hub.connected()).toBe(2);
  });
});

describe("the hub", () => {
  it("names the port that another program has", async () => {
    const { hub } = await startPlainHub(USERS);
    const start = startHub({ host: "127.0.0.1", port: hub.port, authenticator: fixedAuthenticator([]), log: SILENT });
    await expect(start).rejects.toMatchObject({ code: "port_taken", problem: { given: String(hub.port) } });
  });

  it("leaves none of its ports open when another program has one of them", async () => {
    const { hub } = await startPlainHub(USERS);
    const o = { host: "127.0.0.1", port: await freePort(), authenticator: fixedAuthenticator([]), log: SILENT };
    await expect(startHub({ ...o, wsPort: hub.port })).rejects.toMatchObject({ code: "port_taken" });
    const again = await startHub(o);
    onTestFinished(() => again.close());
    expect(again.port).toBe(o.port);
  });

  it("closes a connection that sends no CONNECT, or only half of one", async () => {
    const { raw } = await startPlainHub(USERS, { connectTimeoutMs: 20 });
    const silent = await raw();
    const half = await raw();
    half.sendBytes(Buffer.from([0x10, 40, 0, 4, 77]));
    await Promise.all([silent.closed, half.closed]);
    expect(silent.socket.destroyed && half.socket.destroyed).toBe(true);
  });

  it("counts nobody who left while the password was being checked", async () => {
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const { promise: verdict, resolve: decide } = Promise.withResolvers<Verdict>();
    const maria = principal("maria", "operator");
    const authenticator = {
      certified: () => ({ refused: "bad_credentials" as const }),
      authenticate: ({ user }: Credentials) => {
        if (user !== "maria") return Promise.resolve({ principal: principal(user, "inspector"), session: "s-1" });
        ask();
        return verdict;
      },
      principal: () => maria,
    };
    const { connect, raw, hub } = await startPlainHub(USERS, { authenticator });
    const gone = await raw();
    gone.send(connectPacket("maria"));
    await asked;
    gone.socket.destroy();
    await gone.closed;
    const eyes = await connect("eyes");
    decide({ principal: maria, session: "s-2" });
    await eyes.subscribeAsync("#");
    expect([hub.connected(), hub.live().map(({ session }) => session)]).toEqual([1, ["s-1"]]);
  });

  it("publishes the will of a connection that broke off", async () => {
    const { connect } = await startPlainHub(USERS);
    const eyes = await connect("eyes");
    const inbox = inboxOf(eyes);
    await eyes.subscribeAsync("#");
    const will = { topic: "machines/ipc-01/presence", payload: Buffer.from("gone"), qos: 1 as const, retain: true };
    const machine = await connect("ipc-01", { will });
    machine.stream.destroy();
    expect(await inbox.on("machines/ipc-01/presence")).toMatchObject({ text: "gone" });
  });

  it("closes what is connected when it closes", async () => {
    const { connect, hub } = await startPlainHub(USERS);
    const maria = await connect("maria");
    const gone = new Promise<void>((resolve) => maria.once("close", () => resolve()));
    await hub.close();
    await gone;
    await expect(mqtt.connectAsync(hub.url, { reconnectPeriod: 0 })).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});
