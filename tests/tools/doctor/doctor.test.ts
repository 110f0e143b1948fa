import { chmod } from "node:fs/promises";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Finding } from "../../../tools/doctor/finding.ts";
import { type Ran, rastro } from "../../support/cli.ts";
import { type Plant, startPlant } from "../../support/plant.ts";

/* One plant, from running well to not running at all, in the order of the tests. */

let plant: Plant;
beforeAll(async () => {
  plant = await startPlant();
}, 60_000);
afterAll(async () => {
  await plant.stop();
  await plant.remove();
});

const run = (args: string[], options?: Parameters<typeof rastro>[2]): Promise<Ran> =>
  rastro(plant.environment, args, options);
type Report = { ok: boolean; checks: Finding[] };
const doctor = async () => {
  const { code, json } = await run(["doctor", "--json"]);
  return { code, report: json() as Report };
};
const said = ({ checks }: Report, status: string) =>
  checks.filter((one) => one.status === status).map(({ check, says }) => `${check}: ${says}`);

describe("rastro doctor", () => {
  it("finds a running plant well, and tries its hub", async () => {
    const { code, report } = await doctor();
    expect({ code, failed: said(report, "fail") }).toEqual({ code: 0, failed: [] });
    expect(report.ok).toBe(true);
    const well = said(report, "ok").join("\n");
    expect(well).toContain("for MQTT is used by our own broker");
    expect(well).toContain("key files, each readable by its owner only");
    expect(well).toContain("stack: production is ready");
    expect(well).toMatch(/clock: this clock is \d+ ms/);
    expect(well).toContain("the hub is of this program's version");
    expect(well).toContain("broker: packets of 128 KiB are taken");
    expect(well).toContain("broker: QoS 1 keeps the order");
    expect(well).toContain("broker: overlapping subscriptions bring a message once");
  });

  it("asks nothing that is refused: the books tell of no refusal", async () => {
    const { stdout } = await run(["audit", "tail", "--limit", "200", "--json"]);
    expect(stdout).toContain("session.started");
    expect(stdout).not.toContain("refused");
  });

  it("says for people what to do about what fails, with exit code 1", async () => {
    const key = plant.folders.serviceKey("audit");
    await chmod(key, 0o644);
    const done = await run(["doctor"]);
    await chmod(key, 0o600);
    expect(done.code).toBe(1);
    expect(done.stdout).toContain(`FAIL  keys      others can read ${key}\n`);
    expect(done.stdout).toContain(`-> chmod 600 ${key}\n`);
    expect(done.stdout).toMatch(/\n1 of \d+ checks fail\.\n$/);
  });

  it("warns an inspector that services cannot be asked", async () => {
    await run(["user", "add", "ines", "--profile", "inspector", "--password-stdin"], { stdin: "ines-password\n" });
    const done = await run(["doctor"], { user: "ines", password: "ines-password" });
    expect(done.code).toBe(0);
    expect(done.stdout).toContain("the profile inspector may not ask services");
  });

  it("fails for a wrong password", async () => {
    const done = await run(["doctor"], { user: "ines", password: "another-password" });
    expect(done).toMatchObject({ code: 1, stdout: expect.stringContaining("FAIL  broker") });
  });
});

describe("rastro acl --principals", () => {
  it("has everybody in the directory who can sign in, with the rights of the profile", async () => {
    await run(["machine", "add", "oven", "--never-signs-in"]);
    const { code, stdout } = await run(["acl", "--format", "mosquitto", "--principals"]);
    expect(code).toBe(0);
    expect(stdout).toContain("# inspector\nuser ines\ntopic deny requests/#\n");
    expect(stdout).toContain("# machine\nuser ipc-07\ntopic write machines/ipc-07/status\n");
    expect(stdout).toContain("# service\nuser production\n");
    expect(stdout).not.toContain("oven");
    const inspector = await run(["acl", "--format", "mosquitto", "--principals"], {
      user: "ines",
      password: "ines-password",
    });
    expect(inspector).toMatchObject({ code: 4, stdout: "" });
  });
});

describe("rastro doctor without a stack", () => {
  it("warns of what was not tried, and fails for a port that another program has", async () => {
    await plant.stop();
    const down = await doctor();
    expect(down).toMatchObject({ code: 0, report: { ok: true } });
    expect(said(down.report, "warn").join("\n")).toContain("stack: Rastro does not run with this data folder");
    expect(said(down.report, "ok").join("\n")).toContain("for MQTT is free");

    const stranger = createServer();
    await new Promise<void>((resolve) => stranger.listen(plant.settings.mqttPort, "127.0.0.1", resolve));
    const taken = await doctor();
    await new Promise((resolve) => stranger.close(resolve));
    expect(taken.code).toBe(1);
    expect(said(taken.report, "fail")).toEqual([
      `ports: port ${plant.settings.mqttPort} for MQTT is used by another program`,
    ]);
  });

  it("names a setting that cannot be read, and goes no further", async () => {
    const done = await rastro({ ...plant.environment, RASTRO_MQTT_PORT: "many" }, ["doctor", "--json"]);
    expect(done.code).toBe(1);
    expect(said(done.json() as Report, "fail")).toEqual([expect.stringContaining("RASTRO_MQTT_PORT")]);
  });
});
