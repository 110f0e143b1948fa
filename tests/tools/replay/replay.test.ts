import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { BookRecord } from "../../../lib/contracts/book.ts";
import { openRecord } from "../../../lib/ledger/record.ts";
import type { Event } from "../../../lib/contracts/events.ts";
import { connect } from "../../../tools/client/connection.ts";
import { entriesOf } from "../../../tools/replay/report-entry.ts";
import { readReports } from "../../../tools/replay/read-reports.ts";
import { openZone } from "../../../tools/replay/zone.ts";
import { type Ran, rastro } from "../../support/cli.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

const FIXTURE = join(import.meta.dirname, "work-reports.csv");
const MACHINES = ["bench-unal-1", "lathe-2-turning", "oven"];
/** Added up by hand from the nine rows of the fixture. */
const TOTALS = { good: 72, scrap: 3, rework: 0, review: 7, orders: 3, machines: 3, lots: 3, entries: 9, voided: 0 };
const NOTHING = { good: 0, scrap: 0, rework: 0, review: 0, orders: 0, machines: 0, lots: 0, entries: 0, voided: 0 };

let plant: Plant;
let folder: string;
beforeAll(async () => {
  plant = await startPlant();
  folder = await mkdtemp(join(tmpdir(), "rastro-replay-"));
  const stdin = "maria-password\n";
  await run(["user", "add", "maria", "--profile", "operator", "--password-stdin"], { stdin });
}, 60_000);
afterAll(async () => {
  await plant.stop();
  await plant.remove();
  await rm(folder, { recursive: true });
});

const run = (args: string[], options?: Parameters<typeof rastro>[2]): Promise<Ran> =>
  rastro(plant.environment, args, options);
const totals = async () => (await run(["entry", "totals", "--json"])).json();
const replay = (...options: string[]) => run(["replay", FIXTURE, "--tz", "Europe/Lisbon", "--json", ...options]);

/** Ids of the events of a book's records, oldest first, of those that are `wanted`. */
async function idsIn(book: "audit" | "production", wanted: string): Promise<string[]> {
  const connection = await connect({
    ca: undefined,
    url: plant.settings.brokerUrl,
    session: await plant.signInLocal(),
  });
  const ids: string[] = [];
  try {
    for (let before: number | null = null; before !== 0;) {
      const { records }: { records: BookRecord[] } = await connection.call(book, "book-tail", { limit: 200, before });
      for (const { bytes } of records) {
        const event = openRecord(Buffer.from(bytes, "base64")).event as Event;
        if (event.type === wanted) ids.unshift(event.id);
      }
      before = records.at(-1)?.seq ?? 0;
    }
  } finally {
    await connection.close();
  }
  return ids;
}

/** As {@link idsIn} of the audit book, once it has been told of so many: what tells it does not wait for it. */
function toldAudit(wanted: string, count: number): Promise<string[]> {
  return vi.waitFor(
    async () => {
      const ids = await idsIn("audit", wanted);
      expect(ids.length).toBeGreaterThanOrEqual(count);
      return ids;
    },
    { timeout: 20_000 },
  );
}

describe("what is refused, before anything is sent", () => {
  it("a file with a fault on its last line", async () => {
    const file = join(folder, "reports.csv");
    const row = "Order 7,60,Bushing,Turning,Lathe 2,W-11,D,2026-03-02T07:10:00,2026-03-02T12:00:00,31,2,0,";
    const header =
      "order,order_quantity,part,activity,machine,worker,report_type,start,end,completed,rejected,review,rework";
    await writeFile(file, [header, row, row, row.replace("31", "thirty")].join("\n"));
    const done = await run(["replay", file]);
    expect(done.code).toBe(2);
    expect(done.stderr).toContain('line 4: completed is "thirty"; expected: a whole number from 0 to 10,000,000.');
    expect(await totals()).toEqual(NOTHING);
  });

  it("machines that the agent does not speak for, when whoever asks is no administrator", async () => {
    const done = await run(["replay", FIXTURE], { user: "maria", password: "maria-password" });
    expect(done.code).toBe(4);
    expect(done.stderr).toContain("ipc-07 is not registered to speak for bench-unal-1, lathe-2-turning, oven");
    expect(await totals()).toEqual(NOTHING);
  });

  it.each([
    [["--speed", "0"], 2, "--speed"],
    [["--speed", "fast"], 2, "--speed"],
    [["--tz", "Mars/Olympus"], 2, "--tz"],
    [["--as", "IPC 7"], 2, "--as"],
    [["--as", "ipc-08"], 4, "door.key"],
  ])("%j", async (options, code, words) => {
    const done = await run(["replay", FIXTURE, ...options]);
    expect(done).toMatchObject({ code, stderr: expect.stringContaining(words) });
    expect(await totals()).toEqual(NOTHING);
  });
});

describe("a replay", () => {
  it("books every row with its own time, at the speed that is asked for", async () => {
    const begun = Date.now();
    // Thirty hours of the file in about half a second.
    const done = await replay("--speed", "200000");
    expect(done).toMatchObject({ code: 0, stderr: "" });
    expect(Date.now() - begun).toBeGreaterThan(500);
    expect(done.json()).toMatchObject({
      agent: "ipc-07",
      tz: "Europe/Lisbon",
      from: "2026-03-01T23:59:59.000Z",
      to: "2026-03-03T06:00:00.000Z",
      entries: 9,
      machines: 3,
      registered: MACHINES,
      spokenFor: MACHINES,
      alreadyBooked: 0,
      booked: 9,
      refused: 0,
      quarantined: 0,
    });
    expect(await totals()).toEqual(TOTALS);
  });

  it("done again changes nothing, also for an operator now that the machines are prepared", async () => {
    const { entries, size } = await sizes();
    const again = await rastro(plant.environment, ["replay", FIXTURE, "--tz", "Europe/Lisbon", "--json"], {
      user: "maria",
      password: "maria-password",
    });
    expect(again.code).toBe(0);
    expect(again.json()).toMatchObject({ registered: [], spokenFor: [], alreadyBooked: 9, booked: 0 });
    expect(await totals()).toEqual(TOTALS);
    expect(await sizes()).toEqual({ entries, size });
  });

  it("is accounted for row by row in both books, which are whole", async () => {
    const expected = entriesOf(await readReports(FIXTURE), openZone("Europe/Lisbon")).map(({ id }) => id);
    expect(new Set(expected).size).toBe(9);
    expect(await idsIn("production", "entry.created")).toEqual(expected);
    expect((await toldAudit("record.booked", expected.length)).toSorted()).toEqual(expected.toSorted());
    for (const book of ["production", "audit"]) {
      const verified = await run(["audit", "verify", "--book", book, "--json"]);
      expect(verified).toMatchObject({ code: 0 });
      expect(verified.json()).toMatchObject({ ok: true, damagedCount: 0 });
    }
  });

  it("names no worker in either book", async () => {
    const shown = await run(["entry", "list", "--json"]);
    expect(shown.stdout).toContain("lathe-2-turning");
    expect(shown.stdout).not.toMatch(/W-1\d/);
  });
});

/** The book of production by its entries and records; what an unneeded second booking or conflict would move. */
async function sizes() {
  const { entries } = (await totals()) as { entries: number };
  const { size } = (await run(["audit", "verify", "--book", "production", "--json"])).json() as { size: number };
  return { entries, size };
}

describe("machine speaks-for", () => {
  it("sets the whole list, adds to it, and refuses a name that nobody bears", async () => {
    const set = await run(["machine", "speaks-for", "ipc-07", "oven"]);
    expect(set).toMatchObject({ code: 0, stdout: "ipc-07 speaks for itself and oven.\n" });
    const added = await run(["machine", "speaks-for", "ipc-07", "lathe-2-turning", "--also", "--json"]);
    expect(added.json()).toEqual({ id: "ipc-07", speaksFor: ["ipc-07", "lathe-2-turning", "oven"] });
    const wrong = await run(["machine", "speaks-for", "ipc-07", "ovn"]);
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("no machine ovn is registered") });
    expect(await run(["machine", "speaks-for", "ipc-07"])).toMatchObject({
      stdout: "ipc-07 speaks for itself only.\n",
    });
    // Once by the replay, and three times here.
    expect(await toldAudit("machine.speaks-for-set", 4)).toHaveLength(4);
  });

  it("registers a machine that never signs in", async () => {
    const added = await run(["machine", "add", "press-9", "--never-signs-in"]);
    expect(added.stdout).toBe("press-9 is registered. It never signs in.\n");
    const key = await run(["machine", "add", "press-8", "--never-signs-in", "--public-key", "AAAA"]);
    expect(key).toMatchObject({ code: 2, stderr: expect.stringContaining("no key for a machine that never signs in") });
  });
});
