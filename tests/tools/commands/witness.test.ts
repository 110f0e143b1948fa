import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { history, LOG_VKEY, ORIGIN } from "../../lib/witness/test-log.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { rastro } from "./cli.ts";

const cli = fileURLToPath(new URL("../../../tools/cli.ts", import.meta.url));
const honest = history("a", { size: 9 });
const other = history("b", { size: 9 });

it("rastro witness runs one until it is told to stop; rastro witness show tells what it knows", async () => {
  const data = await temporaryFolder();
  await writeFile(join(data, "logs"), `${LOG_VKEY}\n`);
  const env = {
    RASTRO_DATA: data,
    RASTRO_MACHINE: "tower",
    RASTRO_WITNESS_PORT: "0",
    RASTRO_WITNESS_LOGS: join(data, "logs"),
    RASTRO_WITNESS_NAME: "tower.example/witness",
  };
  expect((await rastro(["witness", "show"], env)).stdout).toContain("none yet");

  const child = spawn(process.execPath, [cli, "witness"], { env: { PATH: process.env["PATH"], ...env } });
  onTestFinished(() => void child.kill("SIGKILL"));
  child.stdout.resume();
  const said = await new Promise<string>((resolve) => {
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("\nfollows")) resolve(text);
    });
  });
  const [, vkey = "", url = ""] = /^witness {2}(\S+)\nasked at (\S+)\n/.exec(said) ?? [];
  expect(vkey).toMatch(/^tower\.example\/witness\+/);
  const ask = async (request: string) => (await fetch(url, { method: "POST", body: request })).status;
  expect(await ask(honest.request(0, 5))).toBe(200);

  const shown = await rastro(["witness", "show", "--json"], env);
  expect(shown).toMatchObject({ exit: 0 });
  expect(shown.json()).toMatchObject({ machine: "tower", vkey, cosigned: [{ origin: ORIGIN, size: 5 }], alarms: [] });
  expect(await ask(other.request(5, 5))).toBe(422);
  const accused = await rastro(["witness", "show"], env);
  expect(accused.exit).toBe(1);
  expect(accused.stdout).toContain("two roots for its first 5 records");
  expect(accused.stdout).toContain(join(data, "agents", "tower", "witness"));

  const folder = join(data, "agents", "tower");
  expect((await readFile(join(folder, "witness.pub"), "utf8")).trim()).toBe(vkey);

  // Put aside under a witness that runs: with the old key it does not go on from nothing.
  expect(await rastro(["witness", "renew"], env)).toMatchObject({ exit: 0 });
  expect(await ask(other.request(0, 3))).toBe(500);
  child.kill("SIGTERM");
  expect(await once(child, "close")).toEqual([0, null]);
  const left = (await readdir(folder)).map((name) => name.replace(/-\d{8}T\d+Z$/, "-time")).toSorted();
  expect(left).toEqual(["outbox", "witness-time", "witness.key-time"]);
  expect((await rastro(["witness", "show"], env)).stdout).toContain("none yet");
  expect((await rastro(["witness", "renew"], env)).stdout).toContain("nothing was changed");
});
