import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openVerifiers } from "../../../edge-agent/station/verifiers.ts";
import { openPasswords } from "../../../lib/runtime/passwords.ts";
import { CHEAP } from "../../support/directory.ts";
import { SILENT } from "../../support/silent.ts";

const DAY = 86_400_000;
const MARIA = { user: "maria", sub: `p-${"a".repeat(32)}`, profile: "operator" as const };
const passwords = openPasswords({ cost: CHEAP, random: randomBytes });

let folder: string;
let file: string;
let now: number;

beforeEach(async () => {
  now = Date.parse("2026-11-24T08:00:00.000Z");
  folder = await mkdtemp(join(tmpdir(), "rastro-station-"));
  file = join(folder, "station.json");
});
afterEach(() => rm(folder, { recursive: true }));

const open = (keepMs = 7 * DAY) =>
  openVerifiers({ file, keepMs, passwords: () => passwords, now: () => now, log: SILENT });

describe("what a station keeps of those who have signed in", () => {
  test("knows the person by the password, also after a start, and nobody by another", async () => {
    await (await open()).keep(MARIA, "correct horse");
    const again = await open();
    expect(await again.check("maria", "correct horse")).toEqual(MARIA);
    expect(await again.check("maria", "wrong horse")).toBeNull();
    expect(await again.check("joana", "correct horse")).toBeNull();
  });

  test("has no password in its file, which only its owner can read", async () => {
    await (await open()).keep(MARIA, "correct horse");
    expect(await readFile(file, "utf8")).not.toContain("correct horse");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test("is not good for longer than it is kept, and then leaves the file", async () => {
    const verifiers = await open();
    await verifiers.keep(MARIA, "correct horse");
    now += 7 * DAY - 1;
    expect(await verifiers.check("maria", "correct horse")).toEqual(MARIA);
    now += 1;
    expect(await verifiers.check("maria", "correct horse")).toBeNull();
    await open();
    expect(await readFile(file, "utf8")).not.toContain("maria");
  });

  test("is not made young again by a clock that was set back", async () => {
    const verifiers = await open();
    await verifiers.keep(MARIA, "correct horse");
    now -= DAY;
    expect(await verifiers.check("maria", "correct horse")).toBeNull();
  });

  test("is nothing where nothing is to be kept", async () => {
    const verifiers = await open(0);
    await verifiers.keep(MARIA, "correct horse");
    expect(await verifiers.check("maria", "correct horse")).toBeNull();
    await expect(stat(file)).rejects.toThrow("ENOENT");
  });

  test("can be forgotten, in the file too", async () => {
    const verifiers = await open();
    await verifiers.keep(MARIA, "correct horse");
    await verifiers.forget("maria");
    expect(await verifiers.check("maria", "correct horse")).toBeNull();
    expect(await readFile(file, "utf8")).not.toContain("maria");
  });

  test("begins anew where the file is damaged", async () => {
    await writeFile(file, '{"v":1,"people":[{"user":');
    const verifiers = await open();
    await verifiers.keep(MARIA, "correct horse");
    expect(await (await open()).check("maria", "correct horse")).toEqual(MARIA);
  });
});
