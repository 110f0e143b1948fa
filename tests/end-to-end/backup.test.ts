import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { v7 as newId } from "uuid";
import { describe, expect, it, vi } from "vitest";
import type { BackupReport, BackupRow } from "../../lib/contracts/backup.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { originHash } from "../../lib/witness/log-notes.ts";
import { rastro } from "../support/cli.ts";
import { usePlant } from "../support/plant.ts";

/*
 * The disk of the production book is lost, a backup of half of it is put in its place, and the machine sends what it
 * has kept since. Real processes, as a person at the hub would do it.
 */
describe("a book that is lost and restored from yesterday's backup", () => {
  const ids: string[] = [];
  const plantOf = usePlant();

  const cli = (...args: string[]) => rastro(plantOf().environment, args);

  it("backs every store up while entries come in", { timeout: 60_000 }, async () => {
    await makeEntries(50);
    const created = await cli("backup", "create", "--json");
    expect(created.stderr).toBe("");
    const reports = created.json() as (BackupReport & { store: string })[];
    expect(reports.map(({ store, ok }) => [store, ok])).toEqual(
      ["production", "audit", "fleet", "directory", "people-keys", "sessions"].map((store) => [store, true]),
    );
    expect(reports[0]).toMatchObject({ records: 50, header: { size: 50, why: "request" } });
    const listed = (await cli("backup", "list", "--json")).json() as BackupRow[];
    expect(listed.map(({ name }) => name).toSorted()).toEqual(reports.map(({ name }) => name).toSorted());
    expect((await cli("backup", "verify", "production")).stdout).toContain("The backup is whole.");
    await makeEntries(50);
    await vi.waitFor(witnessHasSeenAll, { timeout: 20_000, interval: 100 });
  });

  it("refuses to restore while it runs, and what is older than the head note", { timeout: 60_000 }, async () => {
    const running = await cli("backup", "restore", "production");
    expect(running).toMatchObject({ code: 1, stdout: "" });
    expect(running.stderr).toContain("Stop it first");
    await plantOf().stop();
    await rm(plantOf().folders.bookStore("production"), { recursive: true });
    const older = await cli("backup", "restore", "production");
    expect(older.code).toBe(1);
    expect(older.stderr).toContain("the head note knows of 100 records, the backup has 50");
    const unsaid = await cli("backup", "restore", "production", "--older-on-purpose");
    expect(unsaid).toMatchObject({ code: 2 });
  });

  it("knows from a witness, and from a checkpoint that somebody else kept", { timeout: 30_000 }, async () => {
    await rm(plantOf().folders.headNote("production"));
    const unseen = await cli("backup", "restore", "production");
    expect(unseen.stderr).toContain("the witness ipc-07 knows of 100 records");
    const { id } = await readPlant(plantOf().folders.data);
    const file = join(plantOf().folders.data, "witnessed.note");
    await writeFile(file, `${id}/production\n1000\n${Buffer.alloc(32).toString("base64")}\n`);
    const older = await cli("backup", "restore", "production", "--witnessed", file);
    expect(older.stderr).toContain("the checkpoint in witnessed.note knows of 1000 records");
  });

  it("has every entry once when the machine has sent again what it kept", { timeout: 90_000 }, async () => {
    const listed = await cli("backup", "list", "production");
    expect(listed.stdout).toContain("Nothing answers: read here");
    const reason = "The disk of the hub was lost";
    const restored = await cli("backup", "restore", "production", "--older-on-purpose", "--reason", reason);
    expect(restored.stderr).toBe("");
    expect(restored.stdout).toContain("start Rastro again");
    // Audit is not: it knows what these have told since, under numbers that they would use again.
    for (const store of ["fleet", "directory"]) expect((await cli("backup", "restore", store)).code).toBe(0);

    const { processes } = plantOf();
    await processes.broker.start();
    await Promise.all([processes.audit.start(), processes.production.start(), processes.fleet.start()]);
    await processes["edge-agent"].start();
    await vi.waitFor(async () => expect(await totals()).toMatchObject({ entries: 100 }), {
      timeout: 30_000,
      interval: 200,
    });
    await vi.waitFor(auditToldOfAll, { timeout: 30_000, interval: 200 });
    await plantOf().stop();

    const production = await read("production");
    expect(production.ofType("entry.created").toSorted()).toEqual(ids.toSorted());
    expect(production.ofType("book.restored")).toHaveLength(1);
    expect(production.report).toMatchObject({ ok: true });
    const audit = await read("audit");
    expect(audit.ofType("event.quarantined")).toEqual([]);
    expect(audit.ofType("gap.found")).toEqual([]);
    expect(audit.ofType("store.restored")).toHaveLength(2);
    expect(audit.ofType("record.rebooked")).toHaveLength(50);
    expect(audit.ofType("book.loss-accepted")).toEqual([]);
    expect(audit.ofType("backup.made").length).toBeGreaterThanOrEqual(6);
    expect(audit.report).toMatchObject({ ok: true });
  });

  async function makeEntries(count: number): Promise<void> {
    const headers = { authorization: `Bearer ${await plantOf().doorKey()}`, "content-type": "application/json" };
    const door = `${plantOf().urlOf("edge-agent")}/entries`;
    for (let n = 0; n < count; n += 1) {
      const id = newId();
      const fields = { machine: "ipc-07", lot: "L-1", good: 1 };
      const body = JSON.stringify({ id, at: new Date().toISOString(), fields });
      expect((await fetch(door, { method: "POST", headers, body })).status).toBe(202);
      ids.push(id);
    }
    await vi.waitFor(
      async () => {
        const answer = await fetch(`${door}/${ids.at(-1)}`, { headers });
        expect(((await answer.json()) as { status: unknown }).status).toMatchObject({ status: "booked" });
      },
      { timeout: 20_000, interval: 50 },
    );
  }

  async function witnessHasSeenAll(): Promise<void> {
    const { id } = await readPlant(plantOf().folders.data);
    const file = join(plantOf().folders.agentWitness("ipc-07"), `${originHash(`${id}/production`)}.note`);
    expect(await readFile(file, "utf8")).toContain("/production\n100\n");
  }

  async function totals(): Promise<unknown> {
    return (await cli("entry", "totals", "--json")).json();
  }

  /** Whoever tells audit of anything has a receipt for it. */
  async function auditToldOfAll(): Promise<void> {
    for (const name of ["production", "broker", "fleet"] as const) {
      const figures = await (await fetch(`${plantOf().urlOf(name)}/metrics`)).text();
      for (const [line] of figures.matchAll(/^rastro_outbox_waiting_events\{.*$/gm)) expect(line, name).toMatch(/ 0$/);
    }
  }

  async function read(name: BookName) {
    const store = await Store.openFolder(plantOf().folders.bookStore(name));
    try {
      const { id } = await readPlant(plantOf().folders.data);
      const book = await Book.open({
        store,
        name,
        origin: `${id}/${name}`,
        headNote: plantOf().folders.headNote(name),
      });
      expect(book.damage).toBeNull();
      const records = Array.from({ length: book.head().size }, (_, seq) => book.open(seq) as unknown as EventRecord);
      const ofType = (type: string) => records.filter(({ event }) => event.type === type).map(({ event }) => event.id);
      return { ofType, report: await book.verify({}) };
    } finally {
      await store.close();
    }
  }
});

type EventRecord = { event: { type: string; id: string } };
