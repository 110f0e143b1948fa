import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, expect, it } from "vitest";
import { rastro } from "../../support/cli.ts";
import { secondVerifier } from "../../support/second-verifier.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

/* Exports and proofs with the real processes, from the command that takes them out to the verifier that trusts nobody. */

let plant: Plant;
let folder: string;
const run = (args: string[]) => rastro(plant.environment, args);
const at = (name: string) => join(folder, name);

async function done(args: string[]): Promise<unknown> {
  const ran = await run([...args, "--json"]);
  expect(ran.code, ran.stderr).toBe(0);
  return ran.json();
}

beforeAll(async () => {
  plant = await startPlant();
  folder = await mkdtemp(join(tmpdir(), "rastro-take-away-"));
  for (const [lot, good] of [
    ["L-1", "10"],
    ["=L-2", "20"],
    ["L-1", "30"],
  ] as const) {
    await done(["entry", "add", "--machine", "ipc-07", "--lot", lot, "--good", good]);
  }
}, 60_000);
afterAll(async () => {
  await plant?.stop();
  await plant?.remove();
  await rm(folder, { recursive: true, force: true });
});

it("gives the public keys to check with", async () => {
  const { logs, origins } = (await done(["audit", "keys", "-o", at("plant.keys")])) as Record<string, string[]>;
  expect(logs).toHaveLength(2);
  expect(origins?.map((vkey) => vkey.split("+")[0])).toEqual(expect.arrayContaining(["ipc-07", "production", "audit"]));
  expect(await readFile(at("plant.keys"), "utf8")).toContain(logs?.[0]);
});

it("proves a record to whoever has the log's key", async () => {
  await done(["audit", "prove", "1", "-o", at("one.tlog-proof")]);
  const verified = (await done(["verify", at("one.tlog-proof"), "--keys", at("plant.keys")])) as Record<
    string,
    unknown
  >;
  expect(verified).toMatchObject({
    ok: true,
    record: { seq: 1, type: "entry.created" },
    checkpoint: { signedBy: [{ name: expect.stringMatching(/\/production$/) }] },
    events: { checked: { production: 1 } },
  });
  const wrong = await run(["audit", "prove", "99", "-o", at("none.tlog-proof")]);
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("has no such record") });
});

it("exports what fits, provably, and puts it on record once", async () => {
  const made = (await done(["audit", "export", "-o", at("l1.jsonl"), "--lot", "L-1"])) as Record<string, unknown>;
  expect(made).toMatchObject({ records: 2, omitted: 1, unreadable: 0, onRecord: true });
  const verified = await done(["verify", at("l1.jsonl"), "--keys", at("plant.keys")]);
  expect(verified).toMatchObject({
    ok: true,
    export: { book: "production", records: 2, omitted: 1, filter: { lot: "L-1" } },
    checkpoint: { size: 3 },
    events: { checked: { production: 2 } },
  });

  const lines = (await readFile(at("l1.jsonl"), "utf8")).replace('"good":10', '"good":11');
  await writeFile(at("forged.jsonl"), lines);
  expect((await run(["verify", at("forged.jsonl"), "--keys", at("plant.keys")])).code).toBe(1);

  await expect
    .poll(async () => (await run(["audit", "tail", "--json"])).stdout, { timeout: 20_000 })
    .toContain("book.exported");
  const tail = (await done(["audit", "tail", "--limit", "200"])) as { rows: { record: { event: { type: string } } }[] };
  const exported = tail.rows.filter(({ record }) => record.event.type === "book.exported");
  expect(exported).toHaveLength(1);
  expect(exported[0]?.record.event).toMatchObject({
    id: made["id"],
    obj: { kind: "book", key: "production" },
    payload: { filter: { lot: "L-1" }, count: 2, format: "jsonl", names: false },
  });
});

it("convinces the second verifier as well", async (test) => {
  const [, production = ""] = (await readFile(at("plant.keys"), "utf8")).split("\n");
  const files = [at("one.tlog-proof"), at("l1.jsonl"), at("forged.jsonl")];
  const { exit, whole } = await secondVerifier(test, ["--key", production, ...files]);
  expect([exit, ...whole]).toEqual([1, true, true, false]);
});

it("exports the audit book, with the exports that went before", async () => {
  await done(["audit", "export", "-o", at("audit.jsonl"), "--book", "audit", "--type", "book.exported"]);
  expect(await done(["verify", at("audit.jsonl"), "--keys", at("plant.keys")])).toMatchObject({
    ok: true,
    export: { records: 1 },
  });
});

it("writes a CSV that a spreadsheet in Portuguese opens, without formulas", async () => {
  await done(["audit", "export", "-o", at("all.csv"), "--format", "csv", "--separator", ";", "--bom"]);
  const text = await readFile(at("all.csv"), "utf8");
  expect(text.startsWith("\uFEFFseq;at;")).toBe(true);
  const rows = parse<Record<string, string>>(text, { delimiter: ";", bom: true, columns: true });
  expect(rows.map(({ lot, good, who }) => [lot, good, who])).toEqual([
    ["L-1", "10", "local-admin"],
    ["'=L-2", "20", "local-admin"],
    ["L-1", "30", "local-admin"],
  ]);
  const bare = ["audit", "export", "-o", at("bare.csv"), "--format", "csv", "--no-names"];
  await done(bare);
  const unnamed = parse<Record<string, string>>(await readFile(at("bare.csv"), "utf8"), { columns: true });
  expect(unnamed.map(({ who, reason }) => [who, reason])).toEqual(Array.from({ length: 3 }, () => ["", ""]));
});

it.each([
  [["-o", "/nonexistent/a", "--lot", "L-1"], 1, "there is no such folder"],
  [["-o", "/tmp/none", "--person", "ipc-07"], 1, "no person is registered as ipc-07"],
  [["-o", "/tmp/none", "--person", "nobody"], 1, "no person is registered as nobody"],
  [["-o", "/tmp/none", "--from", "yesterday"], 2, "an instant with its zone"],
  [["-o", "/tmp/none", "--format", "xls"], 2, "format"],
  [["-o", "/tmp/none", "--separator", ""], 2, "one character"],
  [[], 2, "--out"],
])("says what is wrong with %j", async (args, code, sentence) => {
  const ran = await run(["audit", "export", ...args]);
  expect(ran).toMatchObject({ code, stdout: "", stderr: expect.stringContaining(sentence) });
});

it("leaves nothing behind but what was asked for", async () => {
  expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
});
