import { v7 } from "uuid";
import { beforeEach, describe, expect, test } from "vitest";
import { MACHINE, openTestStation, PASSWORD } from "./parts.ts";

const fields = { lot: "L-1", good: 5, product: "gear", scrap: [{ defect: "dent", pieces: 1 }] };
const PATIENT = { timeout: 10_000 };
let station: Awaited<ReturnType<typeof openTestStation>>;
let maria: { sub: string };

beforeEach(async () => {
  station = await openTestStation();
  maria = await station.hub.addPerson("maria", "operator", PASSWORD);
});

describe("a sign-in", () => {
  test("with the hub, with a cookie that no page of another origin gets hold of", async () => {
    const answer = await station.signIn("maria");
    expect(answer).toMatchObject({ status: 201, body: { user: "maria", profile: "operator", auth: "station" } });
    expect(answer.set).toMatch(/^rastro-station=[\w-]{43};.*HttpOnly.*SameSite=Strict/);
    expect(await station.ask("GET", "/session")).toMatchObject({ status: 200, body: { user: "maria" } });
    await expect
      .poll(station.acts, PATIENT)
      .toMatchObject([{ type: "session.started", actor: { sub: maria.sub, auth: "station" } }]);
  });

  test("without the hub, marked in what it leaves on record", async () => {
    await station.signIn("maria");
    station.cutOff();
    expect(await station.signIn("maria")).toMatchObject({ status: 201, body: { auth: "offline" } });
    expect(await station.signIn("maria", "another password")).toMatchObject({
      status: 401,
      body: { code: "bad_credentials" },
    });
    await expect.poll(station.acts, PATIENT).toMatchObject([
      { type: "session.started", actor: { sub: maria.sub, auth: "station" } },
      { type: "session.started", actor: { sub: maria.sub, auth: "offline" } },
      { type: "session.ended", actor: { sub: maria.sub, auth: "station" }, payload: { why: "signed-out" } },
      { type: "session.refused", actor: { sub: MACHINE, auth: "device" }, payload: { whose: maria.sub, count: 1 } },
    ]);
  });

  test("is asked for by everything but what the machine itself says", async () => {
    for (const [method, path] of [
      ["GET", "/session"],
      ["DELETE", "/session"],
      ["GET", "/form"],
      ["GET", "/entries"],
      ["POST", "/entries"],
      ["GET", `/book/entries/${v7()}`],
      ["POST", `/book/entries/${v7()}/corrections`],
      ["POST", `/book/entries/${v7()}/void`],
    ] as const) {
      expect(await station.ask(method, path, method === "POST" ? {} : undefined)).toMatchObject({ status: 401 });
    }
    expect(await station.ask("GET", "/waiting")).toMatchObject({ status: 200, body: { machine: MACHINE, hub: true } });
  });

  test.each([
    ["Host", { host: "evil.example" }],
    ["Origin", { origin: "http://127.0.0.1:8080" }],
  ])("is refused for another %s", async (field, headers) => {
    const answer = await station.ask("POST", "/session", { user: "maria", password: PASSWORD }, headers);
    expect(answer).toMatchObject({ status: 403, body: { code: "not_allowed", field } });
  });

  test("sends no password where others can read it", async () => {
    station.pointAt("http://hub.example:8080");
    const answer = await station.signIn("maria");
    expect(answer).toMatchObject({ status: 403, body: { code: "not_allowed" } });
    expect(JSON.stringify(answer.body)).not.toContain(PASSWORD);
  });

  test("ends by signing out, here and at the hub", async () => {
    await station.signIn("maria");
    expect((await station.ask("DELETE", "/session")).status).toBe(204);
    expect((await station.ask("GET", "/session")).status).toBe(401);
    await expect.poll(() => station.hub.directory.sessions.list(), PATIENT).toEqual([]);
  });

  test("ends when it is not used for long", async () => {
    await station.signIn("maria");
    station.clock.now += 12 * 3_600_000;
    expect((await station.ask("GET", "/session")).status).toBe(401);
    await expect
      .poll(async () => (await station.acts()).at(-1), PATIENT)
      .toMatchObject({ type: "session.ended", payload: { why: "expired" } });
  });

  test("that the hub has ended is ended here, and the password is not good without the hub", async () => {
    await station.signIn("maria");
    await station.hub.directory.sessions.end(() => true, { sub: maria.sub, auth: "session" }, "ended");
    station.timing.advance(30_000);
    await expect.poll(async () => (await station.ask("GET", "/session")).status, PATIENT).toBe(401);
    station.cutOff();
    await expect.poll(async () => (await station.signIn("maria")).status, PATIENT).toBe(401);
  });

  test("lasts while the hub is out of reach", async () => {
    await station.signIn("maria");
    station.cutOff();
    station.timing.advance(30_000);
    await station.ask("POST", "/entries", { id: v7(), fields });
    expect((await station.ask("GET", "/session")).status).toBe(200);
  });
});

describe("an entry", () => {
  test("is the person's own, made on this machine, and waits for its receipt", async () => {
    await station.signIn("maria");
    station.cutOff();
    const id = v7();
    const answer = await station.ask("POST", "/entries", { id, at: "2026-11-24T07:30:00.000Z", fields });
    expect(answer).toMatchObject({ status: 202, body: { id, mine: true, auth: "station", status: "waiting" } });
    expect(await station.entries()).toMatchObject([
      {
        id,
        type: "entry.created",
        at: "2026-11-24T07:30:00.000Z",
        actor: { sub: maria.sub, auth: "station" },
        payload: { fields: { machine: MACHINE, lot: "L-1", good: 5, source: "operator" } },
      },
    ]);
    expect((await station.ask("GET", "/waiting")).body).toMatchObject({
      hub: false,
      outboxes: [{ book: "production", waiting: 1, oldest: "2026-11-24T07:30:00.000Z", lastError: null }],
    });
  });

  test("of somebody who signed in without the hub says so", async () => {
    await station.signIn("maria");
    station.cutOff();
    await station.signIn("maria");
    await station.ask("POST", "/entries", { id: v7(), fields });
    expect((await station.entries()).map(({ actor }) => actor)).toEqual([{ sub: maria.sub, auth: "offline" }]);
  });

  test("sent twice is saved once; the same id with other content is a conflict", async () => {
    await station.signIn("maria");
    const id = v7();
    expect((await station.ask("POST", "/entries", { id, fields })).status).toBe(202);
    expect((await station.ask("POST", "/entries", { id, fields })).status).toBe(202);
    expect(await station.ask("POST", "/entries", { id, fields: { ...fields, good: 6 } })).toMatchObject({
      status: 409,
      body: { code: "id_conflict" },
    });
    expect(station.depth().waiting).toBe(1);
  });

  test.each([
    ["fields.good", { ...fields, good: -1 }],
    ["fields.lot", { ...fields, lot: " " }],
    ["fields.source", { ...fields, source: "equipment" }],
  ])("with a wrong %s is refused with the field", async (field, wrong) => {
    await station.signIn("maria");
    const answer = await station.ask("POST", "/entries", { id: v7(), fields: wrong });
    expect(answer).toMatchObject({ status: 422, body: { code: "schema", field } });
    expect(station.depth().waiting).toBe(0);
  });

  test("by somebody who may make none is refused at the form", async () => {
    await station.hub.addPerson("ana", "analyst", PASSWORD);
    await station.signIn("ana");
    const answer = await station.ask("POST", "/entries", { id: v7(), fields });
    expect(answer).toMatchObject({ status: 403, body: { code: "not_allowed", given: "analyst" } });
  });

  test("that the book refused is shown, and mended once", async () => {
    await station.signIn("maria");
    const [refused, mended] = [v7(), v7()];
    await station.ask("POST", "/entries", { id: refused, fields: { ...fields, machine: "press-99" } });
    const mend = (id: string) => station.ask("POST", "/entries", { id, mends: refused, fields });
    expect(await mend(mended)).toMatchObject({ status: 404, body: { code: "unknown_entry", field: "mends" } });

    await station.settle(refused, "refused", "unknown_machine");
    expect((await station.ask("GET", "/entries?show=refused")).body).toMatchObject({
      entries: [{ id: refused, status: { status: "refused", code: "unknown_machine" }, mendedBy: null }],
    });
    expect(await mend(mended)).toMatchObject({ status: 202, body: { id: mended, mends: refused } });
    expect(await mend(mended)).toMatchObject({ status: 202 });
    expect(await mend(v7())).toMatchObject({ status: 409, body: { code: "id_conflict" } });
    expect((await station.ask("GET", "/entries?show=refused")).body).toEqual({ entries: [], next: null });
    expect((await station.entries()).map(({ id }) => id)).toEqual([mended]);
  });

  test("is refused in clear words while the disk is full; who is signed in and what can be picked stay", async () => {
    await station.signIn("maria");
    await station.ask("POST", "/entries", { id: v7(), fields });
    expect((await station.ask("GET", "/form")).status).toBe(200);
    const mend = station.fillDisk();
    const id = v7();
    const answer = await station.ask("POST", "/entries", { id, fields });
    expect(answer).toMatchObject({ status: 507, body: { message: expect.stringContaining("full") as unknown } });
    expect((await station.ask("GET", "/form")).body).toMatchObject({ choices: { lots: ["L-1"] } });
    expect(await station.signIn("maria")).toMatchObject({ status: 201 });
    mend();
    expect((await station.ask("POST", "/entries", { id, fields })).status).toBe(202);
    expect(station.depth().waiting).toBe(2);
  });

  test("is put away with its receipt, 30 days after it came, and not while it waits", async () => {
    await station.signIn("maria");
    const [old, waits] = [v7(), v7()];
    for (const id of [old, waits]) await station.ask("POST", "/entries", { id, fields });
    await station.settle(old, "booked");
    station.clock.now += 31 * 86_400_000;
    await station.tidy();
    await station.signIn("maria");
    expect((await station.ask("GET", "/entries")).body).toMatchObject({ entries: [{ id: waits }], next: null });
  });

  test("is listed newest first, page by page, also somebody else's", async () => {
    await station.signIn("maria");
    const ids = Array.from({ length: 60 }, () => v7());
    for (const id of ids) await station.ask("POST", "/entries", { id, fields });
    await station.hub.addPerson("joana", "operator", PASSWORD);
    await station.signIn("joana");
    type Page = { entries: { id: string; mine: boolean }[]; next: string | null };
    const first = (await station.ask("GET", "/entries")).body as Page;
    const second = (await station.ask("GET", `/entries?after=${first.next}`)).body as Page;
    expect([...first.entries, ...second.entries].map(({ id }) => id)).toEqual(ids.toReversed());
    expect(first.entries[0]?.mine).toBe(false);
    expect(second.next).toBeNull();
  });
});

describe("the form", () => {
  test("has its reasons, and what was entered last, without the hub", async () => {
    await station.signIn("maria");
    station.cutOff();
    await station.ask("POST", "/entries", { id: v7(), fields });
    await station.ask("POST", "/entries", { id: v7(), fields: { ...fields, lot: "L-2" } });
    expect((await station.ask("GET", "/form")).body).toMatchObject({
      machine: MACHINE,
      reasons: expect.arrayContaining([{ code: "COUNT_FIX", meaning: "the count was wrong" }]) as unknown,
      justificationMinimum: 10,
      choices: { lots: ["L-2", "L-1"], products: ["gear"], orders: [], defects: ["dent"] },
      choicesAsOf: null,
    });
  });

  test("changes nothing that is booked for somebody who signed in without the hub", async () => {
    await station.signIn("maria");
    station.cutOff();
    await station.signIn("maria");
    const reason = { code: "COUNT_FIX", text: "Two were counted twice" };
    const change = { event: v7(), rev: 1, reason };
    for (const [path, body] of [
      ["corrections", { ...change, fields: { machine: MACHINE, ...fields } }],
      ["void", change],
    ] as const) {
      const answer = await station.ask("POST", `/book/entries/${v7()}/${path}`, body);
      expect(answer).toMatchObject({ status: 403, body: { code: "not_allowed", field: "auth" } });
    }
    expect(station.depth().waiting).toBe(0);
  });

  test("demands a justification before it asks anybody", async () => {
    await station.signIn("maria");
    const answer = await station.ask("POST", `/book/entries/${v7()}/void`, {
      event: v7(),
      rev: 1,
      reason: { code: "COUNT_FIX", text: "oops" },
    });
    expect(answer).toMatchObject({ status: 422, body: { code: "justification_required" } });
  });
});
