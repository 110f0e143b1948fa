import { describe, expect, it } from "vitest";
import type { Principal } from "../../../lib/contracts/directory.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import { topics } from "../../../lib/contracts/topics.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import type { Refused } from "../../../lib/messaging/refused.ts";
import { createRequester, type Requester } from "../../../lib/messaging/request-client.ts";
import { type Caller, type Handlers, serve, type ServerState } from "../../../lib/messaging/request-server.ts";
import { recordLog } from "../../support/log-lines.ts";
import { PLAIN_BROKERS, startAedes } from "../../support/plain-broker.ts";
import { principal } from "../../support/principals.ts";
import { SILENT } from "../../support/silent.ts";
import { watch, type Watched } from "../../support/until.ts";
import { fakeLink, fakeTimers, settled } from "./fake-link.ts";
import { connect, ups } from "./open.ts";

const NOW = Date.parse("2026-11-24T12:00:00.000Z");
const ROW = {
  id: "ipc-1",
  online: true,
  since: null,
  why: null,
  rateHz: null,
  waiting: null,
  app: null,
  registeredAt: "2026-11-24T05:44:05.000Z",
  credential: "key",
  speaksFor: ["ipc-1"],
  addresses: [],
  duplicate: null,
};
const PEOPLE: Record<string, Principal> = {
  ana: principal("ana", "operator"),
  gone: principal("gone", "operator", { active: false }),
  look: principal("look", "inspector"),
  "local-admin": principal("local-admin", "administrator", { credential: "local" }),
};

const unused = () => expect.unreachable("no test asks for this operation");

type Served = { state: () => ServerState; refused: Refused[]; clock: { now: number } };

async function serveFleet(link: Link, handlers: Partial<Handlers<"fleet">> = {}, log = SILENT): Promise<Served> {
  const refused: Refused[] = [];
  const clock = { now: NOW };
  const server = await serve({
    link,
    service: "fleet",
    principals: { byName: (name) => PEOPLE[name] },
    handlers: {
      "machine-list": () => [ROW],
      "machine-show": () => ROW,
      "command-send": unused,
      "command-approve": unused,
      "command-cancel": unused,
      "rollout-begin": unused,
      "rollout-approve": unused,
      "rollout-cancel": unused,
      "rollout-show": unused,
      "rollout-list": unused,
      "command-show": unused,
      "command-list": unused,
      "backup-create": unused,
      "backup-list": unused,
      "backup-verify": unused,
      ...handlers,
    },
    onRefused: (refusal) => refused.push(refusal),
    now: () => clock.now,
    log,
  });
  return { state: server.state, refused, clock };
}

function ask(link: Link, user = "ana"): Requester {
  let count = 0;
  return createRequester({ link, user, session: "s1", newId: () => `q${(count += 1)}`, now: () => NOW });
}

/** The answers that arrive for a session, and a way to ask with any bytes. */
async function raw(
  link: Link,
  user = "ana",
): Promise<{ answers: Watched<unknown[]>; send(operation: string, id: string, payload: unknown): Promise<void> }> {
  const answers = watch<unknown[]>([]);
  await link.subscribe(`responses/${user}/s1/+`, (_topic, payload) => {
    answers.value.push(JSON.parse(payload.toString()));
    answers.changed();
  });
  return {
    answers,
    send: (operation, id, payload) =>
      link.publish(
        topics.request(user, "s1", "fleet", operation, id),
        typeof payload === "string" ? payload : JSON.stringify(payload),
        { qos: 1 },
      ),
  };
}

const envelope = (body: unknown = {}, aheadMs = 5000) => ({
  v: 1,
  notAfter: new Date(NOW + aheadMs).toISOString(),
  body,
});

describe.each(PLAIN_BROKERS)("requests over $name", ({ start }) => {
  it("are answered, with who asks as the directory knows it", async () => {
    const { url } = await start();
    const callers: Caller[] = [];
    await serveFleet(await connect(url, "fleet"), {
      "machine-show": (body, caller) => {
        callers.push(caller);
        return { ...ROW, id: body.id };
      },
    });
    const shown = await ask(await connect(url, "ana")).call("fleet", "machine-show", { id: "ipc-7" });
    expect(shown.id).toBe("ipc-7");
    await ask(await connect(url, "local-admin"), "local-admin").call("fleet", "machine-show", { id: "ipc-8" });
    expect(callers).toMatchObject([
      { name: "ana", sub: PEOPLE["ana"]?.sub, profile: "operator", session: "s1", auth: "session" },
      { name: "local-admin", profile: "administrator", auth: "local" },
    ]);
  });

  it("tell how far they have come, at most four times a second, and nothing after the last word", async () => {
    const { url } = await start();
    let late = () => {};
    const { clock } = await serveFleet(await connect(url, "fleet"), {
      "machine-list": async (_body, _caller, report) => {
        for (let done = 1; done <= 10; done += 1) {
          clock.now += 100;
          report(done, 10);
        }
        late = () => {
          clock.now += 1000;
          report(10, 10);
        };
        return [ROW];
      },
    });
    const seen: [number, number][] = [];
    const link = await connect(url, "ana");
    const { answers } = await raw(link);
    const onProgress = (done: number, of: number) => seen.push([done, of]);
    expect(await ask(link).call("fleet", "machine-list", {}, { onProgress })).toEqual([ROW]);
    expect(seen).toEqual([
      [3, 10],
      [6, 10],
      [9, 10],
    ]);
    late();
    // The same again, answered as the first was: whatever was sent before has come.
    expect(await ask(link).call("fleet", "machine-list", {})).toEqual([ROW]);
    expect(answers.value.map((answer) => (answer as { status: string }).status)).toEqual([
      ...Array(3).fill("progress"),
      "ok",
      "ok",
    ]);
  });

  it("are asked again after the broker was killed, and done once", async () => {
    const broker = await start();
    const began = watch(0);
    let finish = () => {};
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const fleet = await connect(broker.url, "fleet");
    await serveFleet(fleet, {
      "machine-list": async () => {
        began.value += 1;
        began.changed();
        await finished;
        return [ROW];
      },
    });
    const link = await connect(broker.url, "ana");
    const answer = ask(link).call("fleet", "machine-list", {});
    await began.until((count) => count === 1);
    const back = Promise.all([ups(link, 1), ups(fleet, 1)]);
    await broker.kill();
    await broker.start();
    await back;
    finish();
    expect(await answer).toEqual([ROW]);
    expect(began.value).toBe(1);
  });
});

describe("a request", () => {
  it("brings the handler's problem, and says no more of a fault", async () => {
    const { url } = await startAedes();
    const { log, lines } = recordLog();
    const handlers: Partial<Handlers<"fleet">> = {
      "machine-show": (body) => {
        if (body.id === "broken") throw new Error("an internal matter");
        throw new RastroError({ code: "unknown_machine", message: `no machine ${body.id}`, field: "id" });
      },
    };
    await serveFleet(await connect(url, "fleet"), handlers, log);
    const requester = ask(await connect(url, "ana"));
    await expect(requester.call("fleet", "machine-show", { id: "ipc-9" })).rejects.toMatchObject({
      code: "unknown_machine",
      problem: { field: "id" },
    });
    const fault = requester.call("fleet", "machine-show", { id: "broken" });
    await expect(fault).rejects.toMatchObject({ code: "internal", message: expect.not.stringContaining("matter") });
    expect(JSON.stringify(lines)).toContain("an internal matter");
  });

  it("is refused by code before anything happens, and the refusal is told", async () => {
    const { url } = await startAedes();
    const { log, lines } = recordLog();
    let ran = 0;
    const count = () => void (ran += 1);
    const served = await serveFleet(await connect(url, "fleet"), { "machine-list": count, "machine-show": count }, log);
    const cases: [user: string, operation: string, payload: unknown, code: string][] = [
      ["ana", "machine-list", "{no json", "malformed"],
      ["ana", "machine-list", { v: 1 }, "schema"],
      ["ana", "machine-list", envelope({}, -1), "expired"],
      ["ana", "machine-list", envelope({}, 10 * 60_000 + 1), "schema"],
      ["ana", "machine-drop", envelope(), "unknown_operation"],
      ["ana", "constructor", envelope(), "unknown_operation"],
      ["ana", "machine-show", envelope({ id: "NOT AN ID" }), "schema"],
      ["look", "machine-list", envelope(), "not_allowed"],
      ["gone", "machine-list", envelope(), "unknown_name"],
      ["nobody", "machine-list", envelope(), "unknown_name"],
    ];
    for (const [index, [user, operation, payload, code]] of cases.entries()) {
      const link = await connect(url, user);
      const { answers, send } = await raw(link, user);
      await send(operation, `q${index}`, payload);
      const [answer] = await answers.until((value) => value.length === 1);
      expect(answer).toMatchObject({ v: 1, status: "error", error: { code } });
      await link.close();
    }
    expect(served.refused.map(({ from, code }) => [from, code])).toEqual(cases.map(([user, , , code]) => [user, code]));
    expect(lines[0]).toMatchObject({ topic: "requests/ana/s1/fleet/machine-list/q0", payload: "{no json" });
    expect(ran).toBe(0);
    expect(served.state()).toMatchObject({ refused: cases.length, answered: 0 });
  });

  it("on a topic that is none is logged and counted", async () => {
    const { url } = await startAedes();
    const { log, watched } = recordLog();
    const served = await serveFleet(await connect(url, "fleet"), {}, log);
    const link = await connect(url, "ana");
    await link.publish("requests/ANA/s1/fleet/machine-list/q1", "x", { qos: 1 });
    await watched.until((lines) => lines.some((line) => line["topic"] === "requests/ANA/s1/fleet/machine-list/q1"));
    expect(served.state()).toMatchObject({ unparsed: 1 });
    expect(await ask(link).call("fleet", "machine-list", {})).toEqual([ROW]);
  });

  it("runs again for duplicates where nothing changes and answers are large and many", async () => {
    const { url } = await startAedes();
    let asked = 0;
    const range = () => ({ head: { book: "audit", origin: "o", size: 0, root: "" }, records: [], asked: (asked += 1) });
    const server = await serve({
      link: await connect(url, "audit"),
      service: "audit",
      principals: { byName: (name) => PEOPLE[name] },
      handlers: { "book-range": range } as unknown as Handlers<"audit">,
      onRefused: unused,
      now: () => NOW,
      log: SILENT,
    });
    const link = await connect(url, "local-admin");
    const { answers } = await raw(link, "local-admin");
    for (const _time of [1, 2]) {
      const topic = topics.request("local-admin", "s1", "audit", "book-range", "same");
      const before = answers.value.length;
      await link.publish(topic, JSON.stringify(envelope({ from: 0 })), { qos: 1 });
      await answers.until((all) => all.length > before);
      await expect.poll(() => server.state().kept).toBe(0);
    }
    expect(server.state()).toMatchObject({ answered: 2, duplicates: 0 });
  });

  it("runs once for duplicates, while it runs and afterwards until a minute after notAfter", async () => {
    const { url } = await startAedes();
    let runs = 0;
    let finish = () => {};
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const served = await serveFleet(await connect(url, "fleet"), {
      "machine-list": async () => {
        runs += 1;
        await finished;
        return [{ ...ROW, app: `run ${runs}` }];
      },
    });
    const { answers, send } = await raw(await connect(url, "ana"));
    await send("machine-list", "q1", envelope());
    await send("machine-list", "q1", envelope());
    finish();
    await answers.until((value) => value.length === 2);
    served.clock.now = NOW + 5000 + 60_000;
    await send("machine-list", "q1", envelope());
    await answers.until((value) => value.length === 3);
    expect(runs).toBe(1);
    expect(new Set(answers.value.map((answer) => JSON.stringify(answer))).size).toBe(1);
    served.clock.now += 1;
    await send("machine-list", "q1", envelope());
    const last = (await answers.until((value) => value.length === 4)).at(-1);
    expect(last).toMatchObject({ status: "error", error: { code: "expired" } });
    expect(served.state()).toMatchObject({ duplicates: 2, answered: 1 });
  });

  it("is refused when its id was used for other bytes, and the first answer stands", async () => {
    const { url } = await startAedes();
    await serveFleet(await connect(url, "fleet"));
    const { answers, send } = await raw(await connect(url, "ana"));
    await send("machine-list", "q1", envelope());
    await answers.until((value) => value.length === 1);
    await send("machine-show", "q1", envelope({ id: "ipc-1" }));
    await answers.until((value) => value.length === 2);
    await send("machine-list", "q1", envelope());
    await answers.until((value) => value.length === 3);
    expect(answers.value).toMatchObject([
      { status: "ok" },
      { status: "error", error: { code: "id_conflict" } },
      { status: "ok" },
    ]);
  });

  it("is told to ask for less when the answer would not fit into a packet", async () => {
    const { url } = await startAedes();
    await serveFleet(await connect(url, "fleet"), { "machine-list": () => Array.from({ length: 2000 }, () => ROW) });
    const answer = ask(await connect(url, "ana")).call("fleet", "machine-list", {});
    await expect(answer).rejects.toMatchObject({ code: "schema", problem: { field: "limit" } });
  });

  it("that nobody answers ends in a time-out", async () => {
    const { url } = await startAedes();
    const answer = ask(await connect(url, "ana")).call("fleet", "machine-list", {}, { timeoutMs: 50 });
    await expect(answer).rejects.toMatchObject({ code: "timeout" });
  });

  it("that tells how far it has come is given more time", async () => {
    const link = fakeLink("ana");
    const timers = fakeTimers();
    const o = { link, user: "ana", session: "s1", newId: () => "q1", now: () => NOW, after: timers.after };
    const answer = createRequester(o).call("fleet", "machine-list", {}, { timeoutMs: 5000 });
    await settled();
    expect([timers.next(), timers.next()]).toEqual([2000, 2000]);
    link.deliver("responses/ana/s1/q1", { v: 1, status: "progress", done: 1, of: 3 });
    expect([timers.next(), timers.next()]).toEqual([2000, 2000]);
    link.deliver("responses/ana/s1/q1", { v: 1, status: "ok", data: [] });
    expect(await answer).toEqual([]);
  });

  it("without a connection all the time ends as not reachable", async () => {
    const link = fakeLink("ana");
    const timers = fakeTimers();
    link.down();
    const requester = createRequester({
      link,
      user: "ana",
      session: "s1",
      newId: () => "q1",
      now: () => NOW,
      after: timers.after,
    });
    const answer = requester.call("fleet", "machine-list", {});
    await settled();
    for (let ms = timers.next(); ms !== 10_000; ms = timers.next()) expect(ms).toBe(2000);
    await expect(answer).rejects.toMatchObject({ code: "not_reachable" });
    expect(link.published).toEqual([]);
  });

  it("carries the time until which it may be begun, and goes out again with the next connection", async () => {
    const link = fakeLink("ana");
    const requester = createRequester({ link, user: "ana", session: "s1", newId: () => "q1", now: () => NOW });
    const answer = requester.call("fleet", "machine-list", {}, { timeoutMs: 3000 });
    await settled();
    link.down();
    link.up();
    expect(link.published.map(({ topic }) => topic)).toEqual(Array(2).fill("requests/ana/s1/fleet/machine-list/q1"));
    expect(JSON.parse(link.published[0]?.payload ?? "")).toEqual({
      v: 1,
      notAfter: "2026-11-24T12:00:03.000Z",
      body: {},
    });
    link.deliver("responses/ana/s1/q1", { v: 1, status: "ok", data: [] });
    expect(await answer).toEqual([]);
  });

  it("is asked again for a service that was not there, ever more rarely, until it is answered", async () => {
    const link = fakeLink("ana");
    const timers = fakeTimers();
    const about = { user: "ana", session: "s1", newId: () => "q1", now: () => NOW, after: timers.after };
    const answer = createRequester({ link, ...about }).call("fleet", "machine-list", {}, { timeoutMs: 20_000 });
    await settled();
    const asked: number[] = [link.published.length];
    for (let look = 0; look < 5; look += 1) {
      timers.next();
      asked.push(link.published.length);
    }
    expect(asked).toEqual([1, 1, 2, 2, 3, 3]);
    link.deliver("responses/ana/s1/q1", { v: 1, status: "ok", data: [] });
    expect(await answer).toEqual([]);
    expect(timers.pending()).toEqual([]);
  });

  it("refuses an answer that fits no schema", async () => {
    const link = fakeLink("ana");
    const requester = createRequester({ link, user: "ana", session: "s1", newId: () => "q1", now: () => NOW });
    const answer = requester.call("fleet", "machine-list", {});
    await settled();
    link.deliver("responses/ana/s1/q1", { v: 1, status: "ok", data: [{ id: 1 }] });
    await expect(answer).rejects.toMatchObject({ code: "schema" });
  });

  it("is given up when the broker refuses the session", async () => {
    let valid = true;
    const broker = await startAedes({ password: () => valid });
    const link = await connect(broker.url, "ana");
    const answer = ask(link).call("fleet", "machine-list", {});
    valid = false;
    const refused = answer.catch((error: unknown) => error);
    await broker.kill();
    await broker.start();
    expect(await refused).toMatchObject({ code: "bad_credentials" });
  });
});
