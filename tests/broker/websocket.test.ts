import { once } from "node:events";
import { request } from "node:http";
import { connect as connectTcp } from "node:net";
import mqtt, { type MqttClient } from "mqtt";
import mqttPacket, { type Packet } from "mqtt-packet";
import { expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import type { HubOptions } from "../../broker/hub.ts";
import { FORWARDED_BY } from "../../lib/runtime/secret-file.ts";
import { inboxOf } from "../support/inbox.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { connectPacket } from "../support/raw-mqtt.ts";
import { watch } from "../support/until.ts";

const USERS = { "ipc-01": "machine", eyes: "inspector", maria: "operator" } as const;

const FORWARDER = "what console and hub share";

async function startWithWebSocket(o: Partial<HubOptions> = {}) {
  const plain = await startPlainHub(USERS, { wsPort: 0, forwarder: FORWARDER, ...o });
  const url = plain.hub.wsUrl ?? "";
  const overWebSocket = async (user: string, path = ""): Promise<MqttClient> => {
    const credentials = { username: user, password: `${user}-pass` };
    const client = await mqtt.connectAsync(`${url}${path}`, { protocolVersion: 4, reconnectPeriod: 0, ...credentials });
    onTestFinished(() => client.endAsync(true));
    return client;
  };
  return { ...plain, url, overWebSocket };
}

/** A WebSocket of a test's own: what it sends and receives, frame by frame. */
async function bareSocket(url: string, headers: Record<string, string> = {}) {
  const socket = new WebSocket(url, "mqtt", { headers });
  onTestFinished(() => socket.terminate());
  const frames = watch<Buffer[]>([]);
  socket.on("message", (data: Buffer) => {
    frames.value.push(data);
    frames.changed();
  });
  const closed = once(socket, "close").then(([code]) => Number(code));
  await once(socket, "open");
  return {
    socket,
    frames,
    closed,
    send: (...packets: Packet[]) => socket.send(Buffer.concat(packets.map((packet) => mqttPacket.generate(packet)))),
  };
}

it("is the same hub with the same rules", async () => {
  const { connect, overWebSocket, access } = await startWithWebSocket();
  const eyes = await connect("eyes");
  const inbox = inboxOf(eyes);
  await eyes.subscribeAsync("machines/#", { qos: 1 });
  const machine = await overWebSocket("ipc-01", "/mqtt");
  await machine.publishAsync("machines/ipc-02/status", "forged", { qos: 1 });
  await machine.publishAsync("machines/ipc-01/status", "own", { qos: 1 });
  expect(await inbox.on("machines/ipc-01/status")).toMatchObject({ text: "own", qos: 1 });
  expect(inbox.messages).toHaveLength(1);
  expect(access).toContainEqual(expect.objectContaining({ kind: "publish-refused", address: "127.0.0.1" }));
});

it("one WebSocket message takes all that is sent in a turn, so a PUBLISH never takes five", async () => {
  const { connect, url } = await startWithWebSocket();
  const { send, frames } = await bareSocket(url);
  send(connectPacket("eyes"), { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "machines/#", qos: 0 }] });
  await frames.until((all) => Buffer.concat(all).length >= 4 + 5);
  const before = frames.value.length;
  const machine = await connect("ipc-01");
  for (let index = 0; index < 3; index += 1) {
    machine.publish("machines/ipc-01/status", `${index}`);
    await frames.until((all) => all.length > before + index);
  }
  expect(frames.value.slice(before).map((frame) => frame[0])).toEqual([0x30, 0x30, 0x30]);
});

it("carries the address that the console names, and a will", async () => {
  const { access, url, connect } = await startWithWebSocket();
  const eyes = await connect("eyes");
  const inbox = inboxOf(eyes);
  await eyes.subscribeAsync("machines/#");
  const byConsole = { "x-forwarded-for": "10.1.2.3", [FORWARDED_BY]: FORWARDER };
  const { send, frames, socket } = await bareSocket(url, byConsole);
  const will = { topic: "machines/ipc-01/presence", payload: Buffer.from("gone"), qos: 0, retain: false };
  send(connectPacket("ipc-01", { will }));
  await frames.until((all) => all.length > 0);
  expect(access.at(-1)).toMatchObject({ kind: "admitted", user: "ipc-01", address: "10.1.2.3" });
  socket.terminate();
  await inbox.on("machines/ipc-01/presence");
});

it.each([
  ["nobody who is believed", {}],
  ["a secret that is not the console's", { [FORWARDED_BY]: "what console and hub shard" }],
])("takes the socket's address when another is named by %s", async (_whom, headers) => {
  const { access, url } = await startWithWebSocket();
  const { send, frames } = await bareSocket(url, { "x-forwarded-for": "10.1.2.3", ...headers });
  send(connectPacket("eyes"));
  await frames.until((all) => all.length > 0);
  expect(access.at(-1)).toMatchObject({ kind: "admitted", address: "127.0.0.1" });
});

it("a DISCONNECT right before the close is heard: no will", async () => {
  const { url, connect, hub } = await startWithWebSocket();
  const eyes = await connect("eyes");
  const inbox = inboxOf(eyes);
  await eyes.subscribeAsync("machines/#");
  const { send, frames, socket } = await bareSocket(url);
  const will = { topic: "machines/ipc-01/presence", payload: Buffer.from("gone"), qos: 0, retain: false };
  send(connectPacket("ipc-01", { will }));
  await frames.until((all) => all.length > 0);
  expect(hub.connected()).toBe(2);
  send({ cmd: "disconnect" });
  socket.close();
  await once(socket, "close");
  const machine = await connect("ipc-01");
  await machine.publishAsync("machines/ipc-01/status", "after", { qos: 1 });
  await inbox.on("machines/ipc-01/status");
  expect(inbox.messages).toHaveLength(1);
});

it("a message beyond its bound ends the connection before it is taken in", async () => {
  const { url, hub, access } = await startWithWebSocket();
  const { socket, closed } = await bareSocket(url);
  socket.send(Buffer.alloc(17 * 1024));
  expect(await closed).toBe(1009);
  expect(access).toEqual([expect.objectContaining({ kind: "frame-refused", code: "too_large" })]);
  const second = await bareSocket(url);
  second.socket.send(Buffer.from([0x10, 0xff, 0xff, 0x7f]));
  await second.closed;
  expect(hub.counters.refused.frame).toBe(2);
});

it("text is no MQTT", async () => {
  const { url } = await startWithWebSocket();
  const { socket, closed } = await bareSocket(url);
  socket.send("hello");
  await closed;
  expect(socket.readyState).toBe(WebSocket.CLOSED);
});

it.each([
  ["another path", "/else", {}, 404],
  ["a page of another origin", "/mqtt", { origin: "http://evil.example" }, 403],
  ["another subprotocol", "/mqtt", { "sec-websocket-protocol": "chat" }, 400],
])("refuses %s", async (_what, path, headers, status) => {
  const { url } = await startWithWebSocket();
  const asked = request(`${url.replace("ws:", "http:")}${path}`, {
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-version": "13",
      "sec-websocket-protocol": "mqtt",
      ...headers,
    },
  });
  asked.end();
  const [answer] = (await once(asked, "response")) as [{ statusCode: number }];
  expect(answer.statusCode).toBe(status);
});

it("says what it is to who asks in plain HTTP", async () => {
  const { url } = await startWithWebSocket();
  expect((await fetch(url.replace("ws:", "http:"))).status).toBe(426);
});

it("closes with the hub, whoever is connected", async () => {
  const { url, hub } = await startWithWebSocket();
  expect(hub.listeningOnWebSocket()).toBe(true);
  const { closed } = await bareSocket(url);
  const idle = connectTcp(Number(new URL(url).port), "127.0.0.1");
  await once(idle, "connect");
  const idleClosed = once(idle, "close");
  await hub.close();
  await Promise.all([closed, idleClosed]);
  expect([hub.listening(), hub.listeningOnWebSocket()]).toEqual([false, false]);
});
