import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { listen, type Listening } from "../../console/listen.ts";
import { REQUIRED_PROCESSES } from "../../console/readiness.ts";
import { createConsole } from "../../console/server.ts";
import { FORWARDED_BY } from "../../lib/runtime/secret-file.ts";
import type { RunFile } from "../../lib/runtime/run-files.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function http(answer: (request: IncomingMessage, body: string) => { status: number; body: unknown } | null) {
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const given = answer(request, Buffer.concat(chunks).toString("utf8"));
      if (given === null) return;
      response.writeHead(given.status, { "content-type": "application/json", "retry-after": "7", "x-inner": "secret" });
      response.end(JSON.stringify(given.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  cleanups.push(() => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const processUp = (name: string, ready = true) =>
  http(() => ({ status: ready ? 200 : 503, body: { name, ready, checks: { store: ready || "the disk is full" } } }));

const FORWARDER = "what console and hub share";
const NO_METRICS = { text: async () => "" };

function runFile(name: string, url: string): RunFile {
  return { name, pid: 1, url, startedAt: "2026-11-24T05:44:05.000Z" };
}

async function openConsole(files: RunFile[]): Promise<string> {
  const server: Listening = await listen(
    createConsole({ runFiles: () => files, forwarder: FORWARDER, metrics: NO_METRICS, fetch }),
    {
      host: "127.0.0.1",
      port: 0,
    },
  );
  cleanups.push(() => server.close());
  return `http://127.0.0.1:${server.port}`;
}

/** A port on which nobody listens. */
async function closedPort(): Promise<string> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

async function allUp(): Promise<RunFile[]> {
  return Promise.all(REQUIRED_PROCESSES.map(async (name) => runFile(name, await processUp(name))));
}

type State = { ready: boolean; processes: { name: string }[] };
const names = (state: State) => state.processes.map((one) => one.name);

describe("/readyz", () => {
  test("says 200 and lists each process when all are ready", async () => {
    const url = await openConsole([...(await allUp()), runFile("edge-agent", await processUp("edge-agent"))]);
    const answer = await fetch(`${url}/readyz`);
    const state = (await answer.json()) as State;
    expect(answer.status).toBe(200);
    expect(state).toMatchObject({ ready: true });
    expect(names(state)).toEqual(["audit", "broker", "edge-agent", "fleet", "production"]);
  });

  test("an agent that is not ready is shown and decides nothing", async () => {
    const url = await openConsole([...(await allUp()), runFile("edge-agent", await processUp("edge-agent", false))]);
    const answer = await fetch(`${url}/readyz`);
    expect(answer.status).toBe(200);
    const { processes } = (await answer.json()) as State;
    expect(processes).toContainEqual({ name: "edge-agent", ready: false, checks: { store: "the disk is full" } });
  });

  test.each(REQUIRED_PROCESSES)("says 503 while %s has no run file", async (name) => {
    const url = await openConsole((await allUp()).filter((file) => file.name !== name));
    const answer = await fetch(`${url}/readyz`);
    expect(answer.status).toBe(503);
    expect(((await answer.json()) as State).processes).toContainEqual({
      name,
      ready: false,
      why: "it has not started",
    });
  });

  test("says 503 with the reason when a process is not ready, gone, hanging or replaced", async () => {
    const url = await openConsole([
      runFile("broker", await processUp("broker", false)),
      runFile("audit", await closedPort()),
      runFile("production", await http(() => null)),
      runFile("fleet", await processUp("something-else")),
    ]);
    const answer = await fetch(`${url}/readyz`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({
      ready: false,
      processes: [
        { name: "audit", ready: false, why: "it does not answer" },
        { name: "broker", ready: false, checks: { store: "the disk is full" } },
        { name: "fleet", ready: false, why: "another program has its port" },
        { name: "production", ready: false, why: "no answer within 1000 ms" },
      ],
    });
  });
});

describe("/directory", () => {
  test("hands on method, path, query, body and authorization, with the caller's true address", async () => {
    const seen: unknown[] = [];
    const broker = await http((request, body) => {
      const { authorization, cookie, "x-forwarded-for": from, [FORWARDED_BY]: by } = request.headers;
      seen.push({ method: request.method, url: request.url, body, authorization, cookie, from, by });
      return { status: 201, body: { name: "maria" } };
    });
    const url = await openConsole([runFile("broker", broker)]);
    const answer = await fetch(`${url}/directory/users?x=1`, {
      method: "POST",
      headers: {
        authorization: "Bearer a:b",
        cookie: "c=d",
        "x-forwarded-for": "10.9.8.7",
        "content-type": "application/json",
      },
      body: '{"name":"maria"}',
    });
    expect(answer.status).toBe(201);
    expect(await answer.json()).toEqual({ name: "maria" });
    expect(answer.headers.get("retry-after")).toBe("7");
    expect(answer.headers.get("x-inner")).toBeNull();
    expect(seen).toEqual([
      {
        method: "POST",
        url: "/directory/users?x=1",
        body: '{"name":"maria"}',
        authorization: "Bearer a:b",
        cookie: undefined,
        by: FORWARDER,
        from: "127.0.0.1",
      },
    ]);
  });

  test("refuses a body over 64 KiB, announced or not, without asking the directory", async () => {
    let asked = 0;
    const broker = await http(() => ({ status: 200, body: { asked: (asked += 1) } }));
    const url = await openConsole([runFile("broker", broker)]);
    const large = "x".repeat(64 * 1024 + 1);
    const announced = await fetch(`${url}/directory/users`, { method: "POST", body: large });
    const streamed = await fetch(`${url}/directory/users`, {
      method: "POST",
      body: new Blob([large]).stream(),
      duplex: "half",
    });
    expect([announced.status, streamed.status, asked]).toEqual([413, 413, 0]);
    expect(await announced.json()).toMatchObject({ code: "schema" });
  });

  test("hands on a streamed body within the limit", async () => {
    const broker = await http((_request, body) => ({ status: 200, body: { length: body.length } }));
    const url = await openConsole([runFile("broker", broker)]);
    const body = new Blob(["y".repeat(60_000)]).stream();
    const answer = await fetch(`${url}/directory/users`, { method: "PUT", body, duplex: "half" });
    expect(await answer.json()).toEqual({ length: 60_000 });
  });

  test("says not_reachable when the broker has not started or does not answer", async () => {
    const none = await openConsole([]);
    const gone = await openConsole([runFile("broker", await closedPort())]);
    for (const url of [none, gone]) {
      const answer = await fetch(`${url}/directory/time`);
      expect(answer.status).toBe(503);
      expect(await answer.json()).toMatchObject({ code: "not_reachable" });
    }
  });
});

test("the root lists what there is, and other paths say so", async () => {
  const url = await openConsole([]);
  expect(await (await fetch(url)).json()).toMatchObject({
    name: "rastro",
    offers: { "GET /healthz": expect.any(String) },
  });
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ ok: true, name: "console" });
  const missing = await fetch(`${url}/nothing`);
  expect([missing.status, missing.headers.get("x-content-type-options")]).toEqual([404, "nosniff"]);
});

test("a taken port is one sentence with what to do", async () => {
  const app = createConsole({ runFiles: () => [], forwarder: FORWARDER, metrics: NO_METRICS, fetch });
  const first = await listen(app, { host: "127.0.0.1", port: 0 });
  cleanups.push(() => first.close());
  await expect(listen(app, { host: "127.0.0.1", port: first.port })).rejects.toThrow(
    `Opening port ${first.port} of 127.0.0.1 for the console failed: another program listens there; ` +
      "stop it, or choose another port with RASTRO_HTTP_PORT.",
  );
});
