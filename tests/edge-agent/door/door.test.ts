import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { v7 } from "uuid";
import { breathe } from "../../../edge-agent/breathe.ts";
import { createDoor } from "../../../edge-agent/door/door.ts";
import { loadDoorKey } from "../../../edge-agent/door/door-key.ts";
import { createEntryIntake } from "../../../edge-agent/door/entry-intake.ts";
import { tidyUp } from "../../../edge-agent/housekeeping.ts";
import type { Receipt } from "../../../lib/contracts/events.ts";
import { createKey } from "../../../lib/runtime/keys.ts";
import { sign } from "../../../lib/ledger/signature.ts";
import { type Database, openLevel } from "../../../lib/storage/level/database.ts";
import { Outbox } from "../../../lib/storage/outbox/outbox.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { recordingLog } from "../support/recording-log.ts";
import { signedOf } from "../../support/signed-of.ts";

const KEY = "k".repeat(43);
const HOST = { host: "127.0.0.1:41000", authorization: `Bearer ${KEY}` };
const DAY = 86_400_000;
const ID = "0197a4a0-0000-7000-8000-000000000001";
const fields = { machine: "ipc-07", lot: "L-1", good: 5 };

let folder: string;
let database: Database;
let store: Store;
let outbox: Outbox;
let door: Hono;
let now: number;

beforeEach(async () => {
  now = Date.parse("2026-11-24T05:44:05.000Z");
  folder = await mkdtemp(join(tmpdir(), "rastro-door-"));
  database = await openLevel(join(folder, "outbox"));
  store = await Store.onDatabase(database, folder);
  const { privateKey } = createKey();
  const place = { store, name: "ipc-07", app: "edge-agent@0.1.0", random: randomBytes, now: () => now };
  outbox = await Outbox.open({ ...place, book: "production", sign: (bytes) => sign(privateKey, bytes) });
  const intake = createEntryIntake({
    store,
    outbox,
    machine: "ipc-07",
    tz: "America/Sao_Paulo",
    now: () => now,
    newId: () => v7(),
    clockState: () => ({ source: "ntp", offsetMs: 2 }),
    breathe,
  });
  const depth = () => [{ book: "production", ...outbox.depth(), lastError: null }];
  door = createDoor({ key: KEY, intake, depth, log: recordingLog().log });
});

afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

async function ask(
  method: string,
  path: string,
  o: { body?: unknown; raw?: string; headers?: Record<string, string> } = {},
) {
  const body = o.raw ?? (o.body === undefined ? undefined : JSON.stringify(o.body));
  const request = new Request(`http://127.0.0.1:41000${path}`, {
    method,
    headers: { "content-type": "application/json", ...HOST, ...o.headers },
    ...(body === undefined ? {} : { body }),
  });
  const answer = await door.fetch(request);
  return { status: answer.status, body: await answer.json() };
}

const post = (body: unknown) => ask("POST", "/entries", { body });
const waiting = async () =>
  (await outbox.read({ from: null, maxEvents: 5000, maxBytes: 1e9 })).map((entry) => signedOf(entry).event);

function receiptFor(id: string): Receipt {
  return { id, status: "booked", book: "production", seq: 7, leaf: createHash("sha256").update(id).digest("hex") };
}

describe("handing in", () => {
  test("one entry: 202 after it is on disk, as an event of the machine", async () => {
    const answer = await post({ id: ID, at: "2026-11-24T05:00:00.000Z", tz: "Europe/Lisbon", fields });
    expect(answer).toEqual({ status: 202, body: [{ id: ID, status: "saved" }] });
    expect(await waiting()).toEqual([
      {
        v: 1,
        id: ID,
        type: "entry.created",
        at: "2026-11-24T05:00:00.000Z",
        tz: "Europe/Lisbon",
        clock: { source: "ntp", offsetMs: 2 },
        actor: { sub: "ipc-07", auth: "device" },
        src: { name: "ipc-07", app: "edge-agent@0.1.0", outbox: { epoch: outbox.epoch, dseq: 1 } },
        obj: { kind: "entry", key: ID },
        reason: null,
        payload: {
          fields: {
            machine: "ipc-07",
            lot: "L-1",
            order: null,
            product: null,
            operation: null,
            good: 5,
            rework: 0,
            review: 0,
            scrap: [],
            report: null,
            source: "equipment",
          },
        },
      },
    ]);
  });

  test("is still there after the store was closed and opened again", async () => {
    await post({ id: ID, fields });
    await store.close();
    database = await openLevel(join(folder, "outbox"));
    store = await Store.onDatabase(database, folder);
    const place = { store, name: "ipc-07", app: "edge-agent@0.1.0", random: randomBytes, now: () => now };
    outbox = await Outbox.open({ ...place, book: "production", sign: null });
    expect((await waiting()).map(({ id }) => id)).toEqual([ID]);
  });

  test("without id, time and zone: made here, now, of this place", async () => {
    await post({ fields: { ...fields, source: "operator" } });
    const [event] = await waiting();
    expect(event).toMatchObject({
      at: "2026-11-24T05:44:05.000Z",
      tz: "America/Sao_Paulo",
      payload: { fields: { source: "operator" } },
    });
  });

  test("a thousand in one request, in order", async () => {
    const entries = Array.from({ length: 1000 }, (_, good) => ({ id: v7(), fields: { ...fields, good } }));
    const answer = await post(entries);
    expect(answer.status).toBe(202);
    expect(answer.body).toEqual(entries.map(({ id }) => ({ id, status: "saved" })));
    expect((await waiting()).map(({ id }) => id)).toEqual(entries.map(({ id }) => id));
    expect((await post([...entries, { fields }])).status).toBe(422);
  });

  test("a conflict at the end of a long batch leaves nothing of it", async () => {
    await post({ id: ID, fields });
    const entries = Array.from({ length: 100 }, () => ({ fields }));
    expect((await post([...entries, { id: ID, fields: { ...fields, good: 6 } }])).status).toBe(409);
    expect(await waiting()).toHaveLength(1);
  });

  test("a long batch lets timers run, so that the status goes out meanwhile", async () => {
    let turns = 0;
    const turn = () => {
      turns++;
      if (turns < 1e6) ticking = setImmediate(turn);
    };
    let ticking = setImmediate(turn);
    await post(Array.from({ length: 160 }, () => ({ fields })));
    clearImmediate(ticking);
    expect(turns).toBeGreaterThan(20);
  });

  test("an empty list is refused", async () => {
    expect((await post([])).status).toBe(422);
  });
});

describe("the same id again", () => {
  test("with the same content counts as saved and waits once, also without the time", async () => {
    await post({ id: ID, fields });
    now += 5000;
    expect(await post({ id: ID, fields })).toEqual({ status: 202, body: [{ id: ID, status: "saved" }] });
    expect(
      await post([
        { id: ID, fields },
        { id: ID, fields },
      ]),
    ).toMatchObject({ status: 202 });
    expect(await waiting()).toHaveLength(1);
  });

  test("with the same content counts as saved when it has its receipt already", async () => {
    await post({ id: ID, fields });
    await outbox.settle([receiptFor(ID)]);
    expect((await post({ id: ID, fields })).status).toBe(202);
    expect(await waiting()).toHaveLength(0);
  });

  test.each([
    ["fields", { fields: { ...fields, good: 6 } }],
    ["at", { fields, at: "2026-11-24T05:44:06.000Z" }],
    ["tz", { fields, tz: "Europe/Lisbon" }],
  ])("with other %s is a conflict, and nothing of its batch is saved", async (field, other) => {
    await post({ id: ID, fields });
    const answer = await post([{ fields }, { id: ID, ...other }]);
    expect(answer).toMatchObject({ status: 409, body: { code: "id_conflict", given: ID, field } });
    expect(await waiting()).toHaveLength(1);
  });

  test("twice in one batch with two contents is a conflict", async () => {
    expect(
      (
        await post([
          { id: ID, fields },
          { id: ID, fields: { ...fields, lot: "L-2" } },
        ])
      ).status,
    ).toBe(409);
    expect(await waiting()).toHaveLength(0);
  });
});

describe("what does not fit", () => {
  test("is named with field, value and expectation, and nothing of its batch is saved", async () => {
    const answer = await post([{ fields }, { fields: { ...fields, good: -3 } }, { fields }]);
    expect(answer).toMatchObject({
      status: 422,
      body: { code: "schema", field: "1.fields.good", given: "-3", expected: "0 or more pieces" },
    });
    expect(await waiting()).toHaveLength(0);
  });

  test.each([
    [{ fields: { machine: "ipc-07" } }, "fields.lot"],
    [{ fields, id: "7" }, "id"],
    [{ fields, at: "yesterday" }, "at"],
    [{ fields, tz: "Mars/Olympus" }, "tz"],
    [{ fields, extra: 1 }, "(whole)"],
    [{}, "fields"],
    ["text", "(whole)"],
    [null, "(whole)"],
  ])("%j: %s", async (body, field) => {
    expect(await post(body)).toMatchObject({ status: 422, body: { code: "schema", field } });
  });

  test("a body that is not JSON, and one that is too long", async () => {
    expect(await ask("POST", "/entries", { raw: "{" })).toMatchObject({ status: 400, body: { code: "malformed" } });
    const long = `"${"x".repeat(5_000_000)}"`;
    const headers = { "content-length": String(long.length) };
    expect(await ask("POST", "/entries", { raw: long, headers })).toMatchObject({
      status: 413,
      body: { code: "schema" },
    });
  });
});

describe("asking", () => {
  test("an entry waits until its receipt, and then shows it", async () => {
    await post({ id: ID, fields });
    expect(await ask("GET", `/entries/${ID}`)).toEqual({ status: 200, body: { id: ID, status: "waiting" } });
    await outbox.settle([receiptFor(ID)]);
    expect(await ask("GET", `/entries/${ID}`)).toEqual({ status: 200, body: { id: ID, status: receiptFor(ID) } });
  });

  test("an unknown one is 404, a wrong id 422", async () => {
    expect(await ask("GET", `/entries/${ID}`)).toMatchObject({ status: 404, body: { code: "unknown_entry" } });
    expect(await ask("GET", "/entries/7")).toMatchObject({ status: 422, body: { code: "schema" } });
  });

  test("many at once, in the order of the question; null for what was not handed in here", async () => {
    const other = v7();
    await post([
      { id: ID, fields },
      { id: other, fields },
    ]);
    await outbox.settle([receiptFor(other)]);
    const unknown = v7();
    expect(await ask("POST", "/receipts", { body: { ids: [other, unknown, ID] } })).toEqual({
      status: 200,
      body: [
        { id: other, status: receiptFor(other) },
        { id: unknown, status: null },
        { id: ID, status: "waiting" },
      ],
    });
  });

  test.each([
    [{ ids: [] }, "ids"],
    [{ ids: ["7"] }, "ids.0"],
    [{ ids: Array.from({ length: 1001 }, () => ID) }, "ids"],
    [[ID], "(whole)"],
  ])("a question for receipts that does not fit: %#", async (body, field) => {
    expect(await ask("POST", "/receipts", { body })).toMatchObject({ status: 422, body: { code: "schema", field } });
  });

  test("the outbox tells how much waits", async () => {
    await post({ id: ID, at: "2026-11-24T05:00:00.000Z", fields });
    expect(await ask("GET", "/outbox")).toMatchObject({
      status: 200,
      body: [{ book: "production", waiting: 1, sealed: 0, oldest: "2026-11-24T05:00:00.000Z" }],
    });
  });
});

describe("who may", () => {
  test.each([
    ["no key", { authorization: "" }, 401],
    ["another key", { authorization: `Bearer ${"x".repeat(43)}` }, 401],
    ["the key without its scheme", { authorization: KEY }, 401],
    ["a name that points to loopback", { host: "evil.example:41000" }, 403],
    ["a page of another origin", { origin: "http://evil.example" }, 403],
    ["a page of another port", { origin: "http://127.0.0.1:9999" }, 403],
    ["a page without origin", { origin: "null" }, 403],
  ])("%s: refused", async (_, headers, status) => {
    for (const [method, path] of [
      ["POST", "/entries"],
      ["POST", "/receipts"],
      ["GET", `/entries/${ID}`],
      ["GET", "/outbox"],
    ] as const) {
      expect((await ask(method, path, { headers, ...(method === "POST" ? { body: { fields } } : {}) })).status).toBe(
        status,
      );
    }
    expect(await waiting()).toHaveLength(0);
  });

  test("localhost, and the door's own origin", async () => {
    const headers = { host: "localhost:41000", origin: "http://localhost:41000" };
    expect((await ask("GET", "/outbox", { headers })).status).toBe(200);
  });

  test("the key is made once, is long, and only its owner can read it", async () => {
    const file = join(folder, "door.key");
    const key = await loadDoorKey(file, randomBytes);
    expect(Buffer.from(key, "base64url")).toHaveLength(32);
    expect(await loadDoorKey(file, randomBytes)).toBe(key);
    // Windows has no such bits: there the profile's own folder keeps others out.
    expect((await stat(file)).mode & 0o777).toBe(process.platform === "win32" ? 0o666 : 0o600);
    expect((await readFile(file, "utf8")).trim()).toBe(key);
    await writeFile(file, "short\n");
    await expect(loadDoorKey(file, randomBytes)).rejects.toMatchObject({ code: "store_unusable" });
  });
});

describe("a disk that fails", () => {
  const failWith = (message: string) => {
    const write = database.batch.bind(database);
    database.batch = () => Promise.reject(new Error(message));
    return () => void (database.batch = write);
  };

  test("full: 507 in clear words, and 202 once there is room", async () => {
    const mend = failWith("IO error: outbox/000003.log: No space left on device");
    const answer = await post({ id: ID, fields });
    expect(answer).toMatchObject({ status: 507, body: { code: "store_unusable" } });
    expect((answer.body as { message: string }).message).toContain("disk of the data folder is full");
    mend();
    expect((await post({ id: ID, fields })).status).toBe(202);
    expect(await waiting()).toHaveLength(1);
  });

  test("so full that the store cannot be opened again: 507 each time, and 202 once there is room", async () => {
    const mend = failWith("IO error: outbox/000003.log: No space left on device");
    const open = database.open.bind(database);
    database.open = () => Promise.reject(new Error("IO error: outbox/MANIFEST-000004: No space left on device"));
    for (let round = 0; round < 4; round++) expect((await post({ id: ID, fields })).status).toBe(507);
    mend();
    database.open = open;
    expect((await post({ id: ID, fields })).status).toBe(202);
    expect((await post({ id: ID, fields: { ...fields, good: 6 } })).status).toBe(409);
    expect(await waiting()).toHaveLength(1);
  });

  test("otherwise: 500 that says so", async () => {
    const mend = failWith("IO error: outbox/000003.log: Input/output error");
    expect(await post({ id: ID, fields })).toMatchObject({ status: 500, body: { code: "store_unusable" } });
    mend();
  });
});

describe("tidying up", () => {
  test("forgets what was receipted 30 days ago, and neither what waits nor what is newer", async () => {
    const [old, recent, waits] = [v7(), v7(), v7()];
    await post([
      { id: old, fields },
      { id: recent, fields },
      { id: waits, fields },
    ]);
    await outbox.settle([receiptFor(old)]);
    now += 20 * DAY;
    await outbox.settle([receiptFor(recent)]);
    now += 11 * DAY;
    const tidy = (covered: number | null) =>
      tidyUp({ store, outboxes: [outbox], entries: outbox, secondDisk: { covered: () => covered } });
    await tidy(0);
    expect((await ask("GET", `/entries/${old}`)).status, "it lies on no second disk yet").toBe(200);
    await tidy(null);
    const seen: string[] = [];
    for await (const [key] of store.range({ gte: Buffer.from("s"), lt: Buffer.from("t") })) seen.push(key.toString());
    expect(seen.toSorted()).toEqual([recent, waits].map((id) => `sdoor/${id}`).toSorted());
    expect((await ask("GET", `/entries/${old}`)).status).toBe(404);
    expect((await ask("GET", `/entries/${recent}`)).status).toBe(200);
  });
});
