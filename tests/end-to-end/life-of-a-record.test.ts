import { v7 as newId } from "uuid";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { BookProof } from "../../lib/contracts/book.ts";
import { Event, Receipt } from "../../lib/contracts/events.ts";
import { canonicalBytes } from "../../lib/ledger/canonical.ts";
import { leafHash } from "../../lib/ledger/hash.ts";
import { verifyInclusion } from "../../lib/ledger/proof.ts";
import { type LedgerRecord, openRecord } from "../../lib/ledger/record.ts";
import { verifySignature } from "../../lib/ledger/signature.ts";
import { loadOrCreateKey } from "../../lib/runtime/keys.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { keys } from "../../lib/storage/keys.ts";
import { type Ran, rastro } from "../support/cli.ts";
import { type Plant, startPlant } from "../support/plant.ts";

/* The steps of docs/life-of-a-record.md, in its order, with real processes. Each test goes on where the last one ended. */
describe("the life of a record", { timeout: 60_000 }, () => {
  const maria = { user: "maria", password: "correct horse battery" };
  const reason = "Two counted twice at the end of the shift";
  let plant: Plant;
  let byPerson: { id: string; receipt: Receipt };
  let byMachine: { id: string; receipt: Receipt };

  const cli = (args: string[], options = {}): Promise<Ran> => rastro(plant.environment, args, options);

  beforeAll(async () => {
    plant = await startPlant();
    const added = await cli(["user", "add", "maria", "--profile", "supervisor", "--password-stdin"], {
      stdin: `${maria.password}\n`,
    });
    if (added.code !== 0) throw new Error(added.stderr);
  }, 60_000);

  afterAll(async () => {
    await plant?.stop();
    await plant?.remove();
  });

  it("1. is made by a person, who is told at once what does not fit", async () => {
    const wrong = await cli(
      ["entry", "add", "--machine", "ipc-07", "--lot", "L-2211", "--good", "-5", "--json"],
      maria,
    );
    expect(wrong.code).toBe(2);
    expect(wrong.stdout + wrong.stderr).toMatch(/good/);

    const args = ["--machine", "ipc-07", "--lot", "L-2211", "--good", "480", "--scrap", "3", "--defect", "dent"];
    const right = await cli(["entry", "add", ...args, "--json"], maria);
    expect(right.code, right.stderr).toBe(0);
    byPerson = right.json() as typeof byPerson;
  });

  it("1. is made by a machine, which saves it on its own disk first", async () => {
    const id = newId();
    const door = `${plant.urlOf("edge-agent")}/entries`;
    const headers = { authorization: `Bearer ${await plant.doorKey()}`, "content-type": "application/json" };
    const fields = { machine: "ipc-07", lot: "L-2211", good: 20, source: "equipment" };
    const saved = await fetch(door, { method: "POST", headers, body: JSON.stringify({ id, fields }) });
    expect(saved.status).toBe(202);
    expect(await saved.json()).toEqual([{ id, status: "saved" }]);

    const receipt = await vi.waitFor(async () => {
      const answer = (await (await fetch(`${door}/${id}`, { headers })).json()) as { status: unknown };
      return Receipt.parse(answer.status);
    }, 10_000);
    byMachine = { id, receipt };
  });

  it("2. travels under the name of whoever vouches, and under no other", async () => {
    const { record: person } = await proofOf(byPerson.id);
    expect(person.via).toMatchObject({ kind: "request", name: null });
    const { record: machine } = await proofOf(byMachine.id);
    expect(machine.via).toEqual({ kind: "outbox", name: "ipc-07", session: null });
  });

  it("3. is judged: what breaks a rule counts nothing and says why", async () => {
    const stranger = await cli(["entry", "add", "--machine", "ipc-70", "--lot", "L-1", "--good", "1", "--json"], maria);
    expect(stranger.code).toBe(1);
    expect(stranger.json()).toMatchObject({
      error: { code: "unknown_machine", message: expect.stringContaining("ipc-07") },
    });
    const totals = await cli(["entry", "totals", "--json"], maria);
    expect(totals.json()).toMatchObject({ good: 500, scrap: 3, entries: 2, machines: 1 });
  });

  it("4. is written with the origin's own bytes and signature inside", async () => {
    for (const [id, origin, file] of [
      [byPerson.id, "production", plant.folders.serviceKey("production")],
      [byMachine.id, "ipc-07", plant.folders.agentKey("ipc-07")],
    ] as const) {
      const { record } = await proofOf(id);
      const event = Event.parse(record.event);
      expect(event.src.name).toBe(origin);
      const { publicRaw } = await loadOrCreateKey(file);
      expect(verifySignature(publicRaw, canonicalBytes(record.event), record.sig?.value ?? "")).toBe(true);
      expect(JSON.stringify(record)).not.toContain("maria");
    }
  });

  it("5. is receipted with its number and leaf", async () => {
    for (const { id, receipt } of [byPerson, byMachine]) {
      const { proof } = await proofOf(id);
      expect(receipt).toMatchObject({
        id,
        status: "booked",
        book: "production",
        seq: proof.record.seq,
        leaf: proof.record.leaf,
      });
    }
  });

  it("6. is told to audit under the same id", async () => {
    for (const { id, receipt } of [byPerson, byMachine]) {
      const shown = await vi.waitFor(async () => {
        const ran = await cli(["audit", "show", id, "--json"]);
        expect(ran.code, ran.stderr).toBe(0);
        return ran.json() as { record: LedgerRecord };
      }, 10_000);
      const event = Event.parse(shown.record.event);
      expect(event).toMatchObject({ id, type: "record.booked", src: { name: "production" } });
      expect(event.payload).toMatchObject({ seq: receipt.seq, leaf: receipt.leaf, type: "entry.created" });
    }
  });

  it("7. is corrected with a justification, and every version stays", async () => {
    const correct = ["entry", "correct", byPerson.id, "--good", "478", "--reason", "COUNT_FIX"];
    const short = await cli([...correct, "--text", "too short", "--json"], maria);
    expect(short.code).not.toBe(0);
    expect(short.json()).toMatchObject({ error: { code: "justification_required" } });

    const done = await cli([...correct, "--text", reason, "--json"], maria);
    expect(done.code, done.stderr + done.stdout).toBe(0);
    const shown = (await cli(["entry", "show", byPerson.id, "--json"], maria)).json() as {
      entry: { rev: number };
      versions: { rev: number; fields: { good: number }; reason: unknown; who: string }[];
    };
    expect(shown.entry.rev).toBe(2);
    expect(shown.versions.map(({ rev, fields }) => [rev, fields.good]).toSorted(([a = 0], [b = 0]) => a - b)).toEqual([
      [1, 480],
      [2, 478],
    ]);
    expect(shown.versions.find(({ rev }) => rev === 2)).toMatchObject({
      who: "maria",
      reason: { code: "COUNT_FIX", text: reason },
    });
    expect((await cli(["entry", "totals", "--json"], maria)).json()).toMatchObject({ good: 498, scrap: 3, entries: 2 });
  });

  it("8. is proved on the side of whoever asks, and the book verifies", async () => {
    const { proof } = await proofOf(byPerson.id);
    const bytes = Buffer.from(proof.record.bytes, "base64");
    const holds = (leaf: Buffer) =>
      verifyInclusion({
        seq: proof.record.seq,
        size: proof.head.size,
        leaf,
        path: proof.path.map((hash) => Buffer.from(hash, "hex")),
        root: Buffer.from(proof.head.root, "hex"),
      });
    expect(holds(leafHash(bytes))).toBe(true);
    bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
    expect(holds(leafHash(bytes))).toBe(false);

    expect((await cli(["entry", "show", byPerson.id, "--proof"], maria)).code).toBe(0);
    for (const book of ["audit", "production"]) {
      const verified = await cli(["audit", "verify", "--book", book, "--json"]);
      expect(verified.code, verified.stdout).toBe(0);
      expect(verified.json()).toMatchObject({ ok: true, damaged: [] });
    }
  });

  it("8. and a record that somebody changed on the disk is named by its number", async () => {
    await plant.processes.production.stop();
    const store = await Store.openFolder(plant.folders.bookStore("production"));
    await store.write((tx) => {
      const bytes = Buffer.from(tx.get(keys.record(0)) ?? "");
      const at = bytes.indexOf('"good":480');
      bytes.write('"good":880', at);
      tx.put(keys.record(0), bytes);
    });
    await store.close();
    await plant.processes.production.start();

    const verified = await cli(["audit", "verify", "--book", "production", "--json"]);
    expect(verified.code).toBe(1);
    expect(verified.json()).toMatchObject({ ok: false, damaged: [{ seq: 0, kind: "altered" }] });
  });

  async function proofOf(id: string): Promise<{ proof: BookProof; record: LedgerRecord }> {
    const ran = await cli(["entry", "show", id, "--proof", "--json"], maria);
    expect(ran.code, ran.stderr + ran.stdout).toBe(0);
    const { proofs } = ran.json() as { proofs: { check: { ok: boolean }; proof: BookProof }[] };
    expect(proofs.map(({ check }) => check.ok)).not.toContain(false);
    const { proof } = proofs[0] as { proof: BookProof };
    return { proof, record: openRecord(Buffer.from(proof.record.bytes, "base64")) };
  }
});
