import { connect as connectTls } from "node:tls";
import { Hono } from "hono";
import { expect, it, onTestFinished } from "vitest";
import { openTlsIdentity } from "../../../broker/tls/open-identity.ts";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { type AskingLimits, createAskingGate } from "../../../services/witness/asking-gate.ts";
import { callerOf } from "../../../services/witness/caller.ts";
import { listen } from "../../../services/witness/listen.ts";
import { createRates } from "../../../services/witness/rates.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { openRawHttp, post } from "./raw-http.ts";

const ANY = { burst: 1000, perSecond: 1000 };
const FREE: AskingLimits = {
  address: { requests: ANY, connections: ANY, open: 100 },
  all: { requests: ANY, connections: ANY, open: 100 },
};

/** A port behind a gate whose time the test moves; each test connection is a proxy that names who asks. */
async function open(limits: AskingLimits, o: { tls?: { certificate: string; key: string }; proxies?: string[] } = {}) {
  const time = { now: 0 };
  const gate = createAskingGate({ limits, proxies: o.proxies ?? ["127.0.0.1"], clock: () => time.now });
  let answered = 0;
  const app = new Hono();
  app.post("/add-checkpoint", (context) => context.text(`${(answered += 1)}`));
  const server = await listen(app, { host: "127.0.0.1", port: 0, tls: o.tls ?? null, gate });
  onTestFinished(() => server.close());

  async function connection() {
    const raw = await openRawHttp(server.url);
    onTestFinished(() => void raw.socket.destroy());
    return raw;
  }
  async function ask(caller: string) {
    const raw = await connection();
    raw.send(post("/add-checkpoint", "old 0", { "x-forwarded-for": caller }));
    const answer = await raw.next();
    if (answer !== null && answer.status !== 200) await raw.closed;
    return answer;
  }
  const statuses = async (...callers: string[]) => {
    const all: (number | null)[] = [];
    for (const caller of callers) all.push((await ask(caller))?.status ?? null);
    return all;
  };
  const turnedAway = async () => gate.figures[0]?.read();
  return { time, url: server.url, connection, ask, statuses, turnedAway, answered: () => answered };
}

it("refuses whoever asks too often with 429, and answers the others", async () => {
  const requests = { burst: 2, perSecond: 1 };
  const { ask, statuses, time, answered, turnedAway } = await open({ ...FREE, address: { ...FREE.address, requests } });
  expect(await statuses("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2")).toEqual([200, 200, 429, 200]);
  expect(answered()).toBe(3);
  expect(await ask("192.0.2.1")).toMatchObject({ headers: { "retry-after": "1", connection: "close" } });
  time.now += 1000;
  expect(await statuses("192.0.2.1", "192.0.2.1")).toEqual([200, 429]);
  expect(await turnedAway()).toContainEqual({ labels: { limit: "address" }, value: 3 });
});

it("refuses with 503 what is more than all together may ask", async () => {
  const requests = { burst: 3, perSecond: 1 };
  const { statuses, time } = await open({ ...FREE, all: { ...FREE.all, requests } });
  expect(await statuses(...[1, 2, 3, 4].map((digit) => `192.0.2.${digit}`))).toEqual([200, 200, 200, 503]);
  time.now += 2000;
  expect(await statuses(...[5, 6, 7].map((digit) => `192.0.2.${digit}`))).toEqual([200, 200, 503]);
});

it("lets one address ask too often without using up what all may ask", async () => {
  const limits = { address: { ...FREE.address, requests: { burst: 1, perSecond: 1 } }, all: { ...FREE.all } };
  limits.all.requests = { burst: 2, perSecond: 1 };
  const { statuses } = await open(limits);
  const flood = Array.from({ length: 10 }, () => "192.0.2.1");
  expect(await statuses(...flood, "192.0.2.2")).toEqual([200, ...flood.slice(1).map(() => 429), 200]);
});

it("ends connections of one address beyond so many at a time, and takes them again once others are gone", async () => {
  const { connection, turnedAway } = await open({ ...FREE, address: { ...FREE.address, open: 2 } }, { proxies: [] });
  const [first, second, third] = [await connection(), await connection(), await connection()];
  await third.closed;
  second.send(post("/add-checkpoint", "old 0"));
  expect(await second.next()).toMatchObject({ status: 200 });
  expect(await turnedAway()).toContainEqual({ labels: { limit: "connection" }, value: 1 });
  first.send(post("/add-checkpoint", "old 0", { connection: "close" }));
  expect(await first.next()).toMatchObject({ status: 200 });
  await first.closed;
  const again = await connection();
  again.send(post("/add-checkpoint", "old 0"));
  expect(await again.next()).toMatchObject({ status: 200 });
});

it("ends the connection that has been quiet for the longest where all places are taken", async () => {
  const { connection } = await open({ ...FREE, all: { ...FREE.all, open: 2 } });
  const [first, second] = [await connection(), await connection()];
  const asks = async (raw: typeof first) => {
    raw.send(post("/add-checkpoint", "old 0"));
    return (await raw.next())?.status;
  };
  expect(await asks(first)).toBe(200);
  const third = await connection();
  await second.closed;
  expect([await asks(third), await asks(first)]).toEqual([200, 200]);
});

it("ends connections that come too often before they cost a handshake", async () => {
  const folders = foldersOf(await temporaryFolder());
  await openTlsIdentity({ folders, plant: "plant-1", names: [], now: Date.now });
  const tls = { certificate: folders.hubCertificate, key: folders.hubKey };
  const connections = { burst: 1, perSecond: 1 };
  const { url, time } = await open({ ...FREE, address: { ...FREE.address, connections } }, { tls, proxies: [] });
  const shake = () =>
    new Promise<boolean>((resolve) => {
      const socket = connectTls({ host: "127.0.0.1", port: Number(new URL(url).port), rejectUnauthorized: false });
      socket.once("secureConnect", () => resolve(true));
      socket.once("error", () => resolve(false));
      onTestFinished(() => void socket.destroy());
    });
  expect([await shake(), await shake()]).toEqual([true, false]);
  time.now += 1000;
  expect(await shake()).toBe(true);
});

it.each([
  ["an address", "192.0.2.7", undefined, "192.0.2.7"],
  ["IPv4 over IPv6", "::ffff:192.0.2.7", undefined, "192.0.2.7"],
  ["the network of IPv6", "2001:db8:0:1:a:b:c:d", undefined, "2001:db8:0:1::/64"],
  ["a short one", "2001:db8::d", undefined, "2001:db8:0:0::/64"],
  ["one in the middle", "1::3:4:5:6:7:8", undefined, "1:0:3:4::/64"],
  ["this computer", "::1", undefined, "0:0:0:0::/64"],
  ["one of an interface", "fe80::1%eth0", undefined, "fe80:0:0:0::/64"],
  ["what anybody writes", "192.0.2.7", "198.51.100.1", "192.0.2.7"],
  ["what a proxy names", "203.0.113.1", "198.51.100.1", "198.51.100.1"],
  ["what it names last", "203.0.113.1", "10.0.0.1, 198.51.100.1", "198.51.100.1"],
  ["what stands before our proxies", "203.0.113.1", "10.0.0.1, 198.51.100.1, 203.0.113.2", "198.51.100.1"],
  ["a proxy that names nobody", "203.0.113.1", undefined, "203.0.113.1"],
  ["a proxy that names no address", "203.0.113.1", "unknown", "203.0.113.1"],
])("tells who asks by %s", (_what, remote, forwardedFor, caller) => {
  expect(callerOf({ remote, forwardedFor }, new Set(["203.0.113.1", "203.0.113.2"]))).toBe(caller);
});

it("counts a burst, then so many a second, for each by itself", () => {
  let now = 0;
  const rates = createRates({ burst: 3, perSecond: 2 }, () => now);
  const take = (name: string, times: number) =>
    Array.from({ length: times }, () => rates.take(name)).filter(Boolean).length;
  expect(take("a", 5)).toBe(3);
  expect(take("b", 1)).toBe(1);
  now += 500;
  expect(take("a", 5)).toBe(1);
  now += 60_000;
  expect([take("a", 5), take("b", 5)]).toEqual([3, 3]);
});
