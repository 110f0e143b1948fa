import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { Invitation } from "../../../lib/contracts/standby.ts";
import { logKey } from "../../../lib/ledger/key-rotation.ts";
import { formatVerifierKey } from "../../../lib/ledger/signed-note.ts";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { createKey } from "../../../lib/runtime/keys.ts";
import { rastro } from "../../support/cli.ts";
import { temporaryFolder } from "../../support/folder.ts";

describe("rastro standby, without a hub", { timeout: 30_000 }, () => {
  let environment: NodeJS.ProcessEnv;
  let data: string;
  const run = (...args: string[]) => rastro(environment, ["standby", ...args, "--json"]);

  beforeEach(async () => {
    data = join(await temporaryFolder(), "data");
    environment = { PATH: process.env["PATH"], RASTRO_DATA: data };
  });

  function invitation(plant: string, change: Partial<Invitation> = {}): string {
    const vkey = (book: string) => formatVerifierKey(logKey(`${plant}/${book}`, createKey().publicRaw));
    const made = {
      v: 1,
      plant: { id: plant, createdAt: "2026-11-24T05:44:05.000Z" },
      url: "mqtts://hub.plant.example:8883",
      ca: "-----BEGIN CERTIFICATE-----\n",
      logs: { production: [vkey("production")], audit: [vkey("audit")] },
      ...change,
    };
    return Buffer.from(JSON.stringify(made)).toString("base64url");
  }

  it("makes its key once, for itself alone", async () => {
    const first = (await run("key")).json() as { publicKey: string };
    expect(Buffer.from(first.publicKey, "base64")).toHaveLength(32);
    expect((await run("key")).json()).toEqual(first);
    expect((await stat(foldersOf(data).standbyKey)).mode & 0o777).toBe(0o600);
  });

  it("keeps what it was given, and takes no other keys or plant unasked", async () => {
    const line = invitation("plant-1");
    expect((await run("join", line)).code).toBe(0);
    expect((await run("join", line)).code).toBe(0);
    expect(existsSync(foldersOf(data).standbyAuthority)).toBe(true);
    const otherKeys = invitation("plant-1");
    expect((await run("join", otherKeys)).json()).toMatchObject({
      error: { code: "not_allowed", message: expect.stringContaining("--repin") },
    });
    expect((await run("join", otherKeys, "--repin")).code).toBe(0);
    expect((await run("join", invitation("plant-2"), "--repin")).json()).toMatchObject({
      error: { code: "not_allowed", message: expect.stringContaining("plant-1") },
    });
  });

  it.each([
    ["no invitation", "rubbish"],
    ["keys that are none", invitation("plant-1", { logs: { production: ["x"], audit: ["y"] } })],
  ])("takes %s for what it is", async (_what, line) => {
    expect((await run("join", line)).code).not.toBe(0);
    expect(existsSync(foldersOf(data).standbyJoined)).toBe(false);
  });

  it("says what is missing before it does anything that cannot be undone", async () => {
    const reason = ["--reason", "The hub burned"];
    expect((await run("promote", ...reason)).code).toBe(2);
    expect((await run("restore", "--book", "audit", ...reason)).code).toBe(2);
    expect((await run("start-over", "--book", "audit")).code).toBe(2);
    expect((await run("promote", ...reason, "--yes")).json()).toMatchObject({
      error: { code: "bad_setting", message: expect.stringContaining("has not joined a plant") },
    });
    expect((await run("run")).code).toBe(78);
  });
});
