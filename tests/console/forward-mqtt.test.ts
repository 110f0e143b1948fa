import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { connect, createServer } from "node:net";
import mqtt from "mqtt";
import { expect, it, onTestFinished } from "vitest";
import { listen } from "../../console/listen.ts";
import { createConsole } from "../../console/server.ts";
import { inboxOf } from "../support/inbox.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { SILENT } from "../support/silent.ts";

const FORWARDER = "what console and hub share";
const NO_METRICS = { text: async () => "" };
const USERS = { "ipc-01": "machine", eyes: "inspector" } as const;

async function startConsole(hubPort: number, maximum?: number) {
  const hub = { host: "127.0.0.1", port: hubPort };
  const server = await listen(createConsole({ runFiles: () => [], forwarder: FORWARDER, metrics: NO_METRICS, fetch }), {
    host: "127.0.0.1",
    port: 0,
    mqtt: { hub, forwarder: FORWARDER, log: SILENT, ...(maximum === undefined ? {} : { maximum }) },
  });
  onTestFinished(() => server.close());
  return server.port;
}

/** The status of the answer to a handshake. */
async function handshake(port: number, path: string, headers: Record<string, string> = {}): Promise<number> {
  const asked = request({
    port,
    path,
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
  const [answer] = (await Promise.race([once(asked, "response"), once(asked, "upgrade")])) as [IncomingMessage];
  answer.socket.destroy();
  return answer.statusCode ?? 0;
}

it("hands MQTT on to the hub with the caller's address, and closes both ends", async () => {
  const { hub, access } = await startPlainHub(USERS, { wsPort: 0, forwarder: FORWARDER });
  const port = await startConsole(Number(new URL(hub.wsUrl ?? "").port));
  const open = (user: string) =>
    mqtt.connectAsync(`ws://127.0.0.1:${port}/mqtt`, {
      protocolVersion: 4,
      reconnectPeriod: 0,
      username: user,
      password: `${user}-pass`,
      wsOptions: { headers: { "x-forwarded-for": "203.0.113.9" }, localAddress: "127.0.0.5" },
    });
  const [eyes, machine] = await Promise.all([open("eyes"), open("ipc-01")]);
  onTestFinished(() => eyes.endAsync(true));
  onTestFinished(() => machine.endAsync(true));
  const inbox = inboxOf(eyes);
  await eyes.subscribeAsync("machines/#", { qos: 1 });
  const text = "x".repeat(200 * 1024);
  await machine.publishAsync("machines/ipc-01/summary", text, { qos: 1 });
  expect((await inbox.on("machines/ipc-01/summary")).text).toBe(text);
  // What the caller wrote itself is not passed on.
  expect(access.map(({ kind, address }) => [kind, address])).toEqual([
    ["admitted", "127.0.0.5"],
    ["admitted", "127.0.0.5"],
  ]);
  const gone = new Promise<void>((resolve) => eyes.once("close", () => resolve()));
  await hub.close();
  await gone;
});

it("refuses pages of other origins, other paths, and what is no handshake", async () => {
  const { hub } = await startPlainHub(USERS, { wsPort: 0 });
  const port = await startConsole(Number(new URL(hub.wsUrl ?? "").port));
  expect(await handshake(port, "/mqtt")).toBe(101);
  expect(await handshake(port, "/mqtt", { origin: `http://localhost:${port}` })).toBe(101);
  expect(await handshake(port, "/mqtt", { origin: "http://evil.example" })).toBe(403);
  expect(await handshake(port, "/mqtt", { origin: "null" })).toBe(403);
  expect(await handshake(port, "/directory/time")).toBe(404);
  expect(await handshake(port, "/mqtt", { upgrade: "h2c" })).toBe(400);
  expect((await fetch(`http://127.0.0.1:${port}/mqtt`)).status).toBe(426);
});

it("says 502 while the hub is away", async () => {
  const taken = createServer();
  taken.listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port: free } = taken.address() as { port: number };
  await new Promise((resolve) => taken.close(resolve));
  expect(await handshake(await startConsole(free), "/mqtt")).toBe(502);
});

it("takes no more than so many at once", async () => {
  const mute = createServer((socket) => socket.on("error", () => undefined));
  mute.listen(0, "127.0.0.1");
  await once(mute, "listening");
  onTestFinished(() => void mute.close());
  const port = await startConsole((mute.address() as { port: number }).port, 1);
  const first = connect(port, "127.0.0.1");
  const accepted = once(mute, "connection");
  first.write("GET /mqtt HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n");
  await accepted;
  expect(await handshake(port, "/mqtt")).toBe(503);
  first.destroy();
});
