import { readdirSync, rmSync, statSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { readRunFile } from "../../../lib/runtime/run-files.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { credentialsFile } from "../../../tools/client/credentials.ts";
import { rastro } from "../commands/cli.ts";
import { BY_NPM, type RealStack, startStack } from "./real-stack.ts";

/*
 * One stack from its first start to its last, in the order of the tests: what `npm start` and `npm run rastro` promise.
 */

const PASSWORD = "correct horse battery";
let folder: string;
let data: string;
let stack: RealStack;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rastro-whole-"));
  data = join(folder, "data");
  stack = await startStack({ RASTRO_DATA: data });
}, 60_000);
afterAll(async () => {
  await stack.stop();
  rmSync(folder, { recursive: true });
});

function run(args: string[], env: Record<string, string> = {}, stdin = "") {
  const where = {
    RASTRO_DATA: data,
    RASTRO_MQTT_PORT: String(stack.mqttPort),
    XDG_CONFIG_HOME: folder,
    RASTRO_MACHINE: "press-9",
  };
  return rastro(args, { ...where, ...env }, stdin);
}
async function runJson<T>(args: string[], env: Record<string, string> = {}, stdin = ""): Promise<T> {
  const done = await run([...args, "--json"], env, stdin);
  expect({ exit: done.exit, stderr: done.stderr }).toEqual({ exit: 0, stderr: "" });
  return done.json() as T;
}
const maria = { RASTRO_USER: "maria", RASTRO_PASSWORD: PASSWORD };
const rui = { RASTRO_USER: "rui", RASTRO_PASSWORD: PASSWORD };

type Added = { id: string; receipt: { status: string; book: string; seq: number; leaf: string } };
type Report = { ok: boolean; size: number; root: string; damaged: { seq: number; kind: string }[] };

describe("the first start", () => {
  test("ends with one block that says everything", () => {
    const block = stack.stdout().slice(stack.stdout().indexOf("Rastro is ready"));
    expect(block).toContain(`mqtt://127.0.0.1:${stack.mqttPort} (MQTT 3.1.1)`);
    expect(block).toContain(data);
    expect(block).toContain("press-9");
    expect(block).toMatch(/setup --code [a-z0-9-]{10,}/);
    expect(stack.stderr()).toBe("");
  });

  test("/readyz knows every process", async () => {
    const answer = await fetch(`${stack.consoleUrl}/readyz`);
    const { ready, processes } = (await answer.json()) as {
      ready: boolean;
      processes: { name: string; ready: boolean }[];
    };
    expect([answer.status, ready]).toEqual([200, true]);
    expect(processes.map((one) => one.name)).toEqual(["audit", "broker", "edge-agent", "fleet", "production"]);
  });

  test("what is secret is its owner's alone", () => {
    expect(statSync(foldersOf(data).localAdmin).mode & 0o077).toBe(0);
    expect(readdirSync(foldersOf(data).keys)).toContain("local-admin");
  });
});

describe("people and machines", () => {
  test("the one-time code makes the first administrator, once", async () => {
    const code = /setup --code (\S+)/.exec(stack.stdout())?.[1] ?? "";
    const args = ["setup", "--code", code, "--user", "ana", "--password-stdin"];
    expect(await run(args, {}, `${PASSWORD}\n`)).toMatchObject({ exit: 0, stderr: "" });
    const again = await run([...args, "--json"], {}, `${PASSWORD}\n`);
    expect(again).toMatchObject({ exit: 1 });
    expect(again.json()).toMatchObject({ error: { code: "setup_done" } });
  });

  test("signed in over the console's address, the administrator adds people, who may sign in at once", async () => {
    const ana = { RASTRO_USER: "ana", RASTRO_PASSWORD: PASSWORD, RASTRO_URL: stack.consoleUrl };
    const add = (name: string, profile: string) => ["user", "add", name, "--profile", profile, "--password-stdin"];
    expect(await runJson(add("maria", "operator"), ana, PASSWORD)).toMatchObject({
      name: "maria",
      profile: "operator",
    });
    await runJson(add("rui", "coordinator"), ana, `${PASSWORD}\n`);
    expect(await run(add("maria", "operator"), ana, PASSWORD)).toMatchObject({ exit: 1 });
    const users = await runJson<{ name: string }[]>(["user", "list"], ana);
    expect(users.map((user) => user.name)).toEqual(expect.arrayContaining(["ana", "maria", "rui"]));
  });

  test("the hub's local key is not good from outside", async () => {
    const done = await run(["user", "list", "--json"], { RASTRO_URL: stack.consoleUrl });
    expect(done.exit).toBe(4);
  });

  test("the local key adds a machine; its secret is shown", async () => {
    const added = await runJson<{ id: string; secret: string }>(["machine", "add", "press-1"]);
    expect(added).toEqual({ id: "press-1", secret: expect.stringMatching(/^\S{43,}$/) });
  });

  test("this computer is online and reports its rate", async () => {
    await expect
      .poll(
        async () =>
          (await runJson<{ id: string; rateHz: number | null }[]>(["machine", "list"])).find(
            (row) => row.id === "press-9",
          )?.rateHz,
        { timeout: 20_000 },
      )
      .toBeGreaterThan(0);
    const rows = await runJson<{ id: string; online: boolean }[]>(["machine", "list"]);
    expect(rows).toContainEqual(expect.objectContaining({ id: "press-9", online: true }));
    expect(rows).toContainEqual(expect.objectContaining({ id: "press-1", online: false }));
  });

  test("a profile that does not allow it, and a wrong password, exit with 4", async () => {
    expect(await run(["audit", "tail"], maria)).toMatchObject({ exit: 4, stdout: "" });
    expect(await run(["entry", "totals"], { ...maria, RASTRO_PASSWORD: "wrong password" })).toMatchObject({ exit: 4 });
  });

  test("login is remembered in a file for its owner, and logout forgets it", async () => {
    expect(await run(["login", "--user", "maria", "--password-stdin"], {}, PASSWORD)).toMatchObject({
      exit: 0,
      stderr: "",
    });
    expect(statSync(credentialsFile({ XDG_CONFIG_HOME: folder })).mode & 0o777).toBe(0o600);
    expect(await run(["user", "list"])).toMatchObject({ exit: 4 });
    expect(await runJson(["entry", "totals"])).toMatchObject({ good: 0, entries: 0 });
    expect(await runJson(["logout"])).toEqual({ user: "maria", endedAtHub: true });
    expect(await run(["user", "list"])).toMatchObject({ exit: 0 });
  });
});

describe("entries", () => {
  const ids: string[] = [];

  test("an entry gets a receipt; entered again with its id it gets the same", async () => {
    const args = [
      "entry",
      "add",
      "--machine",
      "press-1",
      "--lot",
      "L-1",
      "--good",
      "10",
      "--scrap",
      "2",
      "--defect",
      "burr",
      "--at",
      "2026-11-24T05:00:00Z",
    ];
    const added = await runJson<Added>(args, maria);
    expect(added.receipt).toMatchObject({
      status: "booked",
      book: "production",
      seq: 0,
      leaf: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(await runJson([...args, "--id", added.id], maria)).toEqual(added);
    ids.push(added.id);
  });

  test("an entry through the agent's door is saved and then received", async () => {
    const args = [
      "entry",
      "add",
      "--machine",
      "press-9",
      "--lot",
      "L-2",
      "--order",
      "O-7",
      "--good",
      "5",
      "--review",
      "1",
      "--at-agent",
    ];
    const done = await run(args);
    expect(done).toMatchObject({ exit: 0, stderr: "" });
    expect(done.stdout).toMatch(
      /saved on the disk of machine press-9\nreceived: booked as record 1 of the book production/,
    );
  });

  test("an unknown machine is answered no", async () => {
    const done = await run(["entry", "add", "--machine", "press-77", "--lot", "L-1", "--good", "1", "--json"], maria);
    expect(done.exit).toBe(1);
    expect(done.json()).toMatchObject({ error: { code: "unknown_machine" } });
  });

  test("totals are the sums of what counts", async () => {
    expect(await runJson(["entry", "totals"], maria)).toMatchObject({
      good: 15,
      scrap: 2,
      review: 1,
      orders: 1,
      machines: 2,
      entries: 2,
    });
  });

  test("a correction keeps what it does not name and needs the right profile", async () => {
    const change = [
      "entry",
      "correct",
      ids[0] ?? "",
      "--good",
      "12",
      "--reason",
      "COUNT_FIX",
      "--text",
      "counted again by hand",
    ];
    expect(await run(change, maria)).toMatchObject({ exit: 4 });
    expect(await runJson(change, rui)).toMatchObject({ id: ids[0], rev: 2 });
    const shown = await runJson<{ entry: { fields: unknown } }>(["entry", "show", ids[0] ?? ""], rui);
    expect(shown.entry.fields).toMatchObject({ good: 12, lot: "L-1", scrap: [{ defect: "burr", pieces: 2 }] });
  });

  test("every version is proved here", async () => {
    const shown = await runJson<{ proofs: { check: { ok: boolean; seq: number } }[] }>(
      ["entry", "show", ids[0] ?? "", "--proof"],
      rui,
    );
    expect(shown.proofs.map(({ check: { ok, seq } }) => ({ ok, seq }))).toEqual([
      { ok: true, seq: 0 },
      { ok: true, seq: 2 },
    ]);
  });

  test("a voided entry counts no longer and takes no correction", async () => {
    const why = ["--reason", "TEST_ENTRY", "--text", "made to try the form"];
    expect(await runJson(["entry", "void", ids[0] ?? "", ...why], rui)).toMatchObject({ rev: 3 });
    expect(await runJson(["entry", "totals"], rui)).toMatchObject({ good: 5, scrap: 0, entries: 1, voided: 1 });
    const again = await run(["entry", "correct", ids[0] ?? "", "--good", "1", ...why, "--json"], rui);
    expect(again).toMatchObject({ exit: 1 });
    expect(again.json()).toMatchObject({ error: { code: "entry_voided" } });
  });

  test("the audit book has it, with who and why, and is proved here", async () => {
    const tail = async () => (await run(["audit", "tail", "--limit", "50"], rui)).stdout;
    await expect
      .poll(tail, { timeout: 20_000 })
      .toMatch(/entry\.voided +rui +entry \S+ +TEST_ENTRY: made to try the form/);
    const shown = await run(["audit", "show", "0", "--json"], rui);
    expect(shown).toMatchObject({ exit: 0 });
    expect(shown.json()).toMatchObject({ check: { ok: true, seq: 0, book: "audit" } });
  });
});

describe("running and stopping", () => {
  test("a killed process comes back", async () => {
    const pid = readRunFile(data, "production")?.pid ?? 0;
    process.kill(pid, "SIGKILL");
    await stack.said("production is ready again.");
    expect(await runJson(["entry", "totals"], rui)).toMatchObject({ entries: 1 });
  });

  test("both books verify", async () => {
    for (const book of ["audit", "production"]) {
      const report = await runJson<Report>(["audit", "verify", "--book", book], rui);
      expect(report).toMatchObject({ ok: true, damaged: [], root: expect.stringMatching(/^[0-9a-f]{64}$/) });
      expect(report.size).toBeGreaterThan(3);
    }
  });

  test("a stop is clean within 5 seconds and leaves no process behind", async () => {
    const pids = ["broker", "audit", "production", "fleet", "edge-agent", "console"].map(
      (name) => readRunFile(data, name)?.pid ?? 0,
    );
    expect(pids).not.toContain(0);
    const begun = Date.now();
    expect(await stack.stop("SIGINT")).toBe(0);
    expect(Date.now() - begun).toBeLessThan(5000);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
    expect(readdirSync(foldersOf(data).run).filter((name) => name.endsWith(".json"))).toEqual([]);
  });

  test("a changed byte in a stored record is named by verify, which exits with 1", async () => {
    await changeRecord(join(foldersOf(data).production, "store"), 1);
    stack = await startStack({ RASTRO_DATA: data });
    expect(stack.stdout()).not.toContain("--code");
    const done = await run(["audit", "verify", "--book", "production", "--json"], rui);
    expect(done.exit).toBe(1);
    const report = done.json() as Report;
    expect(report.ok).toBe(false);
    expect(report.damaged).toContainEqual(expect.objectContaining({ seq: 1, kind: "altered" }));
    const told = await run(["audit", "verify", "--book", "production"], rui);
    expect(told).toMatchObject({ exit: 1, stdout: expect.stringMatching(/^1 +altered/m) });
  }, 60_000);

  test("children go when the stack is killed, so that the next start finds everything free", async () => {
    const pid = readRunFile(data, "production")?.pid ?? 0;
    await stack.stop("SIGKILL");
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
    stack = await startStack({ RASTRO_DATA: data });
    expect(await runJson(["entry", "totals"], rui)).toMatchObject({ entries: 1 });
  }, 60_000);
});

describe("npm start", () => {
  test("hands a signal on to the stack and ends when that has ended", async () => {
    await stack.stop();
    stack = await startStack({ RASTRO_DATA: data }, BY_NPM);
    const pid = readRunFile(data, "broker")?.pid ?? 0;
    expect(await stack.stop("SIGTERM")).toBe(0);
    expect(isAlive(pid)).toBe(false);
    expect(readdirSync(foldersOf(data).run).filter((name) => name.endsWith(".json"))).toEqual([]);
  }, 60_000);

  test("that is killed takes the stack along", async () => {
    stack = await startStack({ RASTRO_DATA: data }, BY_NPM);
    const pid = readRunFile(data, "broker")?.pid ?? 0;
    await stack.stop("SIGKILL");
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
  }, 60_000);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Changes one byte in the middle of a stored record, as a hand in the file would. */
async function changeRecord(storeFolder: string, seq: number): Promise<void> {
  const key = Buffer.alloc(9);
  key.write("r");
  key.writeBigUInt64BE(BigInt(seq), 1);
  const store = await Store.openFolder(storeFolder);
  const bytes = Buffer.from((await store.get(key)) ?? "");
  expect(bytes.length).toBeGreaterThan(100);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await store.write((tx) => tx.put(key, bytes));
  await store.close();
}
