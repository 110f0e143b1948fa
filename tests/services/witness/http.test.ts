import { randomBytes } from "node:crypto";
import { request as httpsRequest } from "node:https";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { openTlsIdentity } from "../../../broker/tls/open-identity.ts";
import { cosignersOf, parseCheckpoint, signedBy } from "../../../lib/ledger/checkpoint.ts";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { originHash } from "../../../lib/witness/log-notes.ts";
import { openWitness } from "../../../lib/witness/open-witness.ts";
import { type AskingGate, createAskingGate } from "../../../services/witness/asking-gate.ts";
import { witnessRoutes } from "../../../services/witness/http.ts";
import { listen } from "../../../services/witness/listen.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { SILENT } from "../../support/silent.ts";
import { history, LOG_KEY, ORIGIN } from "../../lib/witness/test-log.ts";
import { openRawHttp, post } from "./raw-http.ts";

const honest = history("a", { size: 40, fork: 9 });
const other = history("b", { size: 40, fork: 9 });
const logs = { keys: () => [LOG_KEY] };

let folder: string;
let opened: Awaited<ReturnType<typeof openWitness>>;

beforeEach(async () => {
  folder = await temporaryFolder();
  opened = await openWitness({
    name: "tower/witness",
    keyFile: join(folder, "witness.key"),
    publicKeyFile: join(folder, "witness.pub"),
    folder: join(folder, "witness"),
    logs,
    anybodyAsks: true,
    now: Date.now,
    log: SILENT,
  });
});

async function serve(o: { requestMs?: number; tls?: { certificate: string; key: string }; gate?: AskingGate } = {}) {
  const app = witnessRoutes({ witness: opened.witness, logs, log: SILENT });
  const tls = o.tls ?? null;
  const gate = o.gate ?? createAskingGate({ proxies: [], clock: () => performance.now() });
  const more = o.requestMs === undefined ? {} : { requestMs: o.requestMs };
  const server = await listen(app, { host: "127.0.0.1", port: 0, tls, gate, ...more });
  onTestFinished(() => server.close());
  return server;
}

async function open(requestMs?: number) {
  const { url } = await serve(requestMs === undefined ? {} : { requestMs });
  const raw = await openRawHttp(url);
  onTestFinished(() => void raw.socket.destroy());
  const ask = async (request: string) => {
    raw.send(post("/add-checkpoint", request));
    return raw.next();
  };
  return { ...raw, url, ask };
}

describe("the witness over HTTP", () => {
  it("cosigns, and shows what it has cosigned to monitors; all on one connection", async () => {
    const raw = await open();
    const answer = await raw.ask(honest.request(0, 30));
    expect(answer).toMatchObject({ status: 200 });
    const cosigned = parseCheckpoint(`${honest.checkpoint(30)}${answer?.body}`);
    expect(cosignersOf(cosigned, [opened.witness.key])).toHaveLength(1);

    raw.send(`GET /${originHash(ORIGIN)}/checkpoint HTTP/1.1\r\nhost: witness\r\n\r\n`);
    const shown = parseCheckpoint((await raw.next())?.body ?? "");
    expect(shown.head.size).toBe(30);
    expect(signedBy(shown, [LOG_KEY])).toHaveLength(1);
    expect(cosignersOf(shown, [opened.witness.key])).toHaveLength(1);
    expect(await raw.ask(honest.request(30, 31))).toMatchObject({ status: 200 });
  });

  it.each([
    ["nothing", "", 400, /./],
    ["what is no request", "old x\n\nnote\n", 400, /./],
    ["what is no UTF-8", Buffer.from([0x6f, 0x6c, 0x64, 0x20, 0xff]), 400, /./],
    ["an old size above the new", honest.request(9, 5), 400, /above/],
    ["a key that is not known", history("a", { size: 5, seed: 2 }).request(0, 5), 403, /no known key/],
    ["a log that is not known", history("a", { size: 5, origin: "plant-2/audit" }).request(0, 5), 404, /not known/],
    ["another old size than its own", honest.request(3, 5), 409, /^20\n$/],
    ["another root of the same size", other.request(20, 20), 422, /another root/],
    ["a later size without a proof", other.request(20, 30), 422, /does not hold/],
  ])("answers %s", async (_, request, status, body) => {
    const raw = await open();
    await raw.ask(honest.request(0, 20));
    raw.send(post("/add-checkpoint", request));
    const answer = await raw.next();
    expect(answer?.status).toBe(status);
    expect(answer?.body).toMatch(body);
    const type = status === 409 ? "text/x.tlog.size" : "text/plain; charset=utf-8";
    expect(answer?.headers["content-type"]).toBe(type);
  });

  it("accuses a log of what its signatures prove, and of nothing that anybody could have made up", async () => {
    const raw = await open();
    await raw.ask(honest.request(0, 20));
    await raw.ask(honest.request(20, 30).replace(/\n[^\n]+\n\n/, "\n\n"));
    expect(opened.findings.all()).toEqual([]);
    await raw.ask(other.request(20, 20));
    expect(opened.findings.all()).toMatchObject([{ alarm: "forked", seen: other.checkpoint(20) }]);
  });

  it.each([
    ["GET /add-checkpoint", 405],
    ["DELETE /add-checkpoint", 405],
    ["GET /", 404],
    [`GET /${"0".repeat(64)}/checkpoint`, 404],
    [`GET /${originHash(ORIGIN)}/checkpoint`, 404],
    ["GET /../witness.key", 404],
  ])("%s is %d", async (request, status) => {
    const raw = await open();
    raw.send(`${request} HTTP/1.1\r\nhost: witness\r\n\r\n`);
    expect(await raw.next()).toMatchObject({ status });
  });

  it("lets one of several win that ask at once for steps from the same size", async () => {
    const { url } = await open();
    const steps = [11, 12, 13, 14, 15, 16, 17, 18];
    const connections = await Promise.all(steps.map(() => openRawHttp(url)));
    connections.forEach((raw, index) => raw.send(post("/add-checkpoint", honest.request(0, steps[index] ?? 0))));
    const answers = await Promise.all(connections.map((raw) => raw.next()));
    const won = answers.flatMap((answer, index) => (answer?.status === 200 ? [steps[index]] : []));
    expect(won).toHaveLength(1);
    const lost = answers.filter((answer) => answer?.status === 409);
    expect(lost.map((answer) => answer?.body)).toEqual(Array.from({ length: 7 }, () => `${won[0]}\n`));
    for (const { socket } of connections) socket.destroy();
  });

  it("takes no more than a request can have: as announced, and in pieces without an end", async () => {
    const announced = await open();
    announced.send(`POST /add-checkpoint HTTP/1.1\r\nhost: witness\r\ncontent-length: 99999999\r\n\r\nold 0`);
    expect(await announced.next()).toMatchObject({ status: 413 });

    const pieces = await openRawHttp(announced.url);
    pieces.send("POST /add-checkpoint HTTP/1.1\r\nhost: witness\r\ntransfer-encoding: chunked\r\n\r\n");
    const piece = randomBytes(16 * 1024);
    for (let sent = 0; sent < 6; sent += 1) {
      pieces.send(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]));
    }
    const answer = await pieces.next();
    expect(answer?.status ?? 413).toBe(413);
    pieces.socket.destroy();
    expect(await (await open()).ask(honest.request(0, 3))).toMatchObject({ status: 200 });
  });

  it("ends who takes its time", async () => {
    const slow = await open(1000);
    slow.send("POST /add-checkpoint HTTP/1.1\r\nhost: witness\r\ncontent-length: 500\r\n\r\nold 0");
    expect(await slow.next()).toMatchObject({ status: 408 });
    await slow.closed;
  });

  it("speaks TLS with the certificate that it is given", async () => {
    const folders = foldersOf(folder);
    await openTlsIdentity({ folders, plant: "plant-1", names: [], now: Date.now });
    const { url } = await serve({ tls: { certificate: folders.hubCertificate, key: folders.hubKey } });
    const ca = await readFile(folders.authorityCertificate);
    const status = await new Promise((resolve, reject) => {
      const asking = httpsRequest(`${url}/add-checkpoint`, { method: "POST", ca }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      asking.on("error", reject);
      asking.end(honest.request(0, 12));
    });
    expect(status).toBe(200);
    const bad = { certificate: folders.hubCertificate, key: folders.authorityKey };
    await expect(serve({ tls: bad })).rejects.toMatchObject({ code: "bad_setting" });
  });
});
