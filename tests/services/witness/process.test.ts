import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { freePort } from "../../support/plant.ts";
import { random } from "../../support/random.ts";
import { Supervised } from "../../support/supervised.ts";
import { history, LOG_VKEY } from "../../lib/witness/test-log.ts";

const MAIN = "services/witness/main.ts";
const SIZE = 400;
const branches = [history("a", { size: SIZE, fork: 20 }), history("b", { size: SIZE, fork: 20 })];

async function environment() {
  const folder = await temporaryFolder();
  const logs = join(folder, "logs");
  await writeFile(logs, `${LOG_VKEY}\n`);
  return {
    PATH: process.env["PATH"],
    RASTRO_DATA: folder,
    RASTRO_MACHINE: "tower",
    RASTRO_WITNESS_PORT: String(await freePort()),
    RASTRO_WITNESS_LOGS: logs,
  };
}

/** Runs it to its end, which is to come by itself. */
async function runToEnd(env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../..", MAIN)], { env, stdio: "pipe" });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  child.stdout.resume();
  const [code] = (await once(child, "close")) as [number];
  return { code, said };
}

describe("rastro witness", () => {
  it("never cosigns two histories nor goes back, however often it is killed while it is asked", async () => {
    const env = await environment();
    const witness = new Supervised("witness", MAIN, env);
    await witness.start();
    onTestFinished(() => witness.stop());
    expect(witness.output()).toMatch(/witness {2}tower\/witness\+[0-9a-f]{8}\+\S+\nasked at http:/);
    const url = `http://127.0.0.1:${env.RASTRO_WITNESS_PORT}/add-checkpoint`;
    const dice = random(20261124);
    const given: { size: number; root: string }[] = [];

    const ask = async (branch: number, old: number, size: number) => {
      const log = branches[branch] as (typeof branches)[number];
      const answer = await fetch(url, { method: "POST", body: log.request(old, size) }).catch(() => null);
      const body = (await answer?.text().catch(() => null)) ?? null;
      if (answer?.status === 200 && body !== null) {
        const { head } = parseCheckpoint(`${log.checkpoint(size)}${body}`);
        given.push({ size: head.size, root: head.root.toString("hex") });
      }
      return answer?.status === 409 && body !== null ? Number(body) : null;
    };

    let has = 0;
    for (let kills = 0; kills < 6; kills += 1) {
      const turns = 2 + dice.below(6);
      for (let turn = 0; turn <= turns; turn += 1) {
        const size = has + 1 + dice.below(5);
        const asking = Promise.all([ask(dice.below(2), has, size), ask(dice.below(2), has, size)]);
        if (turn === turns) witness.kill();
        has = (await asking).find((told) => told !== null) ?? size;
      }
      await answersAgain(url);
    }
    expect(given.length).toBeGreaterThan(10);
    const sizes = given.map(({ size }) => size);
    expect(sizes).toEqual(sizes.toSorted((one, another) => one - another));
    const isOf = (log: (typeof branches)[number]) =>
      given.every(({ size, root }) => log.root(size).toString("hex") === root);
    expect(branches.some(isOf)).toBe(true);
  }, 60_000);

  it("keeps a second process from cosigning with the same key", async () => {
    const env = await environment();
    const witness = new Supervised("witness", MAIN, env);
    await witness.start();
    onTestFinished(() => witness.stop());
    expect(await runToEnd({ ...env, RASTRO_WITNESS_PORT: "0" })).toMatchObject({ code: 78 });
  });

  it.each([
    [{ RASTRO_WITNESS_LOGS: "/nowhere/logs" }, /names no log/],
    [{ RASTRO_WITNESS_KEY: "/nowhere/key" }, /RASTRO_WITNESS_CERTIFICATE/],
    [{ RASTRO_WITNESS_NAME: "a b" }, /RASTRO_WITNESS_NAME/],
    [{ RASTRO_WITNESS_PORT: "99999" }, /RASTRO_WITNESS_PORT/],
  ])("says what is wrong with %o and does not start", async (given, expected) => {
    const { code, said } = await runToEnd({ ...(await environment()), ...given });
    expect(code).toBe(78);
    expect(said).toMatch(expected);
  });
});

/** The process that took the place of the killed one listens. */
async function answersAgain(url: string): Promise<void> {
  const answers = () =>
    fetch(url).then(
      ({ status }) => status,
      () => 0,
    );
  await expect.poll(answers, { timeout: 20_000 }).toBe(405);
}
