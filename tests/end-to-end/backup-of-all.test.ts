import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { v7 as newId } from "uuid";
import { describe, expect, it, vi } from "vitest";
import { readPlant } from "../../lib/runtime/plant.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { rastro } from "../support/cli.ts";
import { usePlant } from "../support/plant.ts";

const REASON = "Tried on a copy of the plant";

/*
 * Every store but production's is put back to an earlier state: audit lacks what it had been told since, the hub's own
 * and the fleet's outboxes have counted on, and all of them tell audit again what it lacks.
 */
describe("a plant whose other stores are restored from a backup", () => {
  const ids: string[] = [];
  const plantOf = usePlant();

  const cli = (...args: string[]) => rastro(plantOf().environment, args);

  it("is told of everything again, once", { timeout: 240_000 }, async () => {
    await addEntries(5);
    expect(await cli("backup", "create")).toMatchObject({ code: 0, stderr: "" });
    await addEntries(5);
    await vi.waitFor(auditToldOfAll, { timeout: 30_000, interval: 200 });
    await plantOf().stop();

    for (const store of ["sessions", "fleet", "directory", "people-keys"]) {
      expect(await cli("backup", "restore", store), store).toMatchObject({ code: 0, stderr: "" });
    }
    // Whatever is left of what knew more says so: the sessions were restored too, and kept the newest checkpoints.
    const { folders } = plantOf();
    for (const gone of [dirname(folders.bookStore("audit")), folders.agentWitness("ipc-07")]) {
      await rm(gone, { recursive: true });
    }
    const refused = await cli("backup", "restore", "audit");
    expect(refused.stderr).toMatch(
      /(?:the hub's retained checkpoint|a receipt that .+ has) knows of \d+ records, the backup/,
    );
    const older = await cli("backup", "restore", "audit", "--older-on-purpose", "--reason", REASON);
    expect(older).toMatchObject({ code: 0, stderr: "" });

    await start();
    await addEntries(1);
    await vi.waitFor(auditToldOfAll, { timeout: 60_000, interval: 200 });
    await plantOf().stop();

    const { told, report } = await readAudit();
    expect(report).toMatchObject({ ok: true, damaged: [] });
    expect(
      told("record.booked")
        .filter((id) => ids.includes(id))
        .toSorted(),
    ).toEqual(ids.toSorted());
    expect(told("event.quarantined")).toEqual([]);
    expect(told("gap.found")).toEqual([]);
    expect(told("store.restored")).toHaveLength(4);
    expect(told("book.restored")).toHaveLength(1);
    // It was said with the restore that it is older, and nobody is asked once more.
    expect(told("witness.log-behind")).toEqual([]);
    expect(told("book.loss-accepted")).toEqual([]);
  });

  async function start(): Promise<void> {
    const { processes } = plantOf();
    await processes.broker.start();
    await Promise.all([processes.audit.start(), processes.production.start(), processes.fleet.start()]);
    await processes["edge-agent"].start();
  }

  async function addEntries(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      const id = newId();
      const added = await cli("entry", "add", "--id", id, "--machine", "ipc-07", "--lot", "L-1", "--good", "1");
      expect(added).toMatchObject({ code: 0, stderr: "" });
      ids.push(id);
    }
  }

  /** Whoever tells audit of anything has a receipt for it. */
  async function auditToldOfAll(): Promise<void> {
    for (const name of ["production", "broker", "fleet", "edge-agent"] as const) {
      const figures = await (await fetch(`${plantOf().urlOf(name)}/metrics`)).text();
      const waiting = figures.split("\n").filter((line) => line.startsWith("rastro_outbox_waiting_events{"));
      for (const line of waiting) expect(line, name).toMatch(/ 0$/);
    }
  }

  async function readAudit() {
    const store = await Store.openFolder(plantOf().folders.bookStore("audit"));
    try {
      const { id } = await readPlant(plantOf().folders.data);
      const book = await Book.open({
        store,
        name: "audit",
        origin: `${id}/audit`,
        headNote: plantOf().folders.headNote("audit"),
      });
      expect(book.damage).toBeNull();
      const events = Array.from(
        { length: book.head().size },
        (_, seq) => (book.open(seq) as unknown as { event: { type: string; id: string } }).event,
      );
      const told = (type: string) => events.filter((event) => event.type === type).map(({ id }) => id);
      return { told, report: await book.verify({}) };
    } finally {
      await store.close();
    }
  }
});
