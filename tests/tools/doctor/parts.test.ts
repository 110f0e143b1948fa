import { chmod, mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { readSettings } from "../../../lib/runtime/settings.ts";
import { checkHubClock, checkTimeService } from "../../../tools/doctor/clock.ts";
import { checkDataFolder } from "../../../tools/doctor/data-folder.ts";
import { checkPorts } from "../../../tools/doctor/ports.ts";
import { checkProcesses } from "../../../tools/doctor/processes.ts";
import { checkVersions } from "../../../tools/doctor/versions.ts";
import { freePort } from "../../support/plain-broker.ts";
import { temporaryFolder } from "../../support/folder.ts";

const PLENTY = async () => 10 * 1024 ** 3;

describe("ports", () => {
  async function portsWith(runs: string[]) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const env = {
      RASTRO_MQTT_PORT: String(port),
      RASTRO_WS_PORT: String(await freePort()),
      RASTRO_MQTTS_PORT: String(await freePort()),
      RASTRO_HTTP_PORT: "0",
    };
    const findings = await checkPorts({ settings: readSettings(env), runs: new Set(runs) });
    return findings.map(({ status, says, todo }) => ({ status, says: says.replace(/\d{2,}/, "N"), todo }));
  }

  it("taken by a stranger fail and say which variable chooses another; free ones are well", async () => {
    expect(await portsWith([])).toEqual([
      {
        status: "fail",
        says: "port N for MQTT is used by another program",
        todo: "stop it, or choose another port with RASTRO_MQTT_PORT",
      },
      { status: "ok", says: "port N for MQTT over TLS is free", todo: null },
      { status: "ok", says: "port N for MQTT over WebSocket is free", todo: null },
      { status: "ok", says: "any free port is taken for the console", todo: null },
    ]);
  });

  it("are ours while our process runs, and warn when it listens elsewhere", async () => {
    expect((await portsWith(["broker"])).map(({ status, says }) => `${status} ${says}`)).toEqual([
      "ok port N for MQTT is used by our own broker",
      "warn broker runs, but nothing listens on port N for MQTT over TLS",
      "warn broker runs, but nothing listens on port N for MQTT over WebSocket",
      "ok any free port is taken for the console",
    ]);
  });
});

describe("the data folder", () => {
  const statuses = async (o: Parameters<typeof checkDataFolder>[0]) =>
    (await checkDataFolder(o)).map(({ check, status }) => `${check} ${status}`);

  it("may not exist yet, where it can be made", async () => {
    const folder = await temporaryFolder();
    const options = { data: join(folder, "a", "b"), platform: process.platform };
    expect(await statuses(options)).toEqual(["data ok"]);
  });

  it("fails where it cannot be made", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "file"), "");
    const [finding] = await checkDataFolder({ data: join(folder, "file", "data"), platform: process.platform });
    expect(finding).toMatchObject({ status: "fail", says: expect.stringContaining("cannot be made (ENOTDIR)") });
    expect(finding?.todo).toContain("RASTRO_DATA");
  });

  it.each([
    [10_000, "ok"],
    [1000, "warn"],
    [100, "fail"],
  ])("with %s MiB free: %s", async (mebibytes, status) => {
    const data = await temporaryFolder();
    const freeBytes = async () => mebibytes * 1024 ** 2;
    expect(await statuses({ data, platform: "linux", freeBytes })).toEqual(["data ok", `space ${status}`, "keys ok"]);
  });

  it.skipIf(process.platform === "win32")("keeps its keys from others: those that it does not are named", async () => {
    const data = await temporaryFolder();
    const { localAdmin, serviceKey, directoryPublicKey, agentKey } = foldersOf(data);
    await mkdir(join(data, "keys", "services"), { recursive: true });
    await mkdir(join(data, "agents", "ipc 07"), { recursive: true });
    const closed = [localAdmin, serviceKey("audit"), agentKey("ipc 07")];
    for (const file of closed) await writeFile(file, "secret", { mode: 0o600 });
    await writeFile(directoryPublicKey, "public", { mode: 0o644 });
    const options = { data, platform: "linux", freeBytes: PLENTY } as const;
    expect((await checkDataFolder(options))[2]).toMatchObject({
      status: "ok",
      says: "3 key files, each readable by its owner only",
    });
    await chmod(localAdmin, 0o644);
    await chmod(agentKey("ipc 07"), 0o620);
    expect((await checkDataFolder(options))[2]).toEqual({
      check: "keys",
      status: "fail",
      says: `others can read ${agentKey("ipc 07")}, ${localAdmin}`,
      todo: `chmod 600 '${agentKey("ipc 07")}' ${localAdmin}`,
    });
    expect((await checkDataFolder({ ...options, platform: "win32" }))[2]).toMatchObject({ status: "ok" });
  });
});

describe("the clock", () => {
  it.each([
    [0, "ok", "0 ms ahead of the hub's"],
    [400, "ok", "400 ms behind the hub's"],
    [-5000, "warn", "5000 ms ahead of the hub's"],
    [599_999, "warn", "599999 ms behind the hub's"],
    [600_000, "fail", "600000 ms behind the hub's"],
  ])("%s ms off the hub's: %s", async (offset, status, words) => {
    const askHub = async () => ({ now: new Date(1_800_000_000_000 + offset).toISOString() });
    const finding = await checkHubClock({ askHub, now: () => 1_800_000_000_000 });
    expect(finding).toMatchObject({ status, says: expect.stringContaining(words) });
  });

  it("counts the answer for the middle of the time that it took, and a slow one for nothing", async () => {
    let now = 1_800_000_000_000;
    const after = (took: number) => async () => {
      const said = new Date(now + took / 2).toISOString();
      now += took;
      return { now: said };
    };
    expect(await checkHubClock({ askHub: after(1800), now: () => now })).toMatchObject({ status: "ok" });
    expect(await checkHubClock({ askHub: after(2200), now: () => now })).toMatchObject({ status: "warn" });
  });

  it.each([
    ["ntp", null, "ok"],
    ["none", null, "warn"],
    ["unknown", "yes", "ok"],
    ["unknown", "no", "warn"],
    ["unknown", null, "warn"],
  ] as const)("a time service that is %s, of which the system says %s: %s", async (source, said, status) => {
    expect(await checkTimeService({ source: () => source, ask: async () => said })).toMatchObject({ status });
  });
});

describe("versions", () => {
  async function project(installed: Record<string, string>): Promise<string> {
    const root = await temporaryFolder();
    const put = async (path: string, content: unknown) => {
      await mkdir(join(root, path, ".."), { recursive: true });
      await writeFile(join(root, path), JSON.stringify(content));
    };
    const manifest = { version: "0.1.0", dependencies: { zod: "^4.0.0" }, devDependencies: { node: "24.21.0" } };
    await put("package.json", manifest);
    const packages = { "node_modules/zod": { version: "4.6.7" }, "node_modules/node": { version: "24.21.0" } };
    await put("package-lock.json", { packages });
    for (const [name, version] of Object.entries(installed)) {
      await put(`node_modules/${name}/package.json`, { version });
    }
    return root;
  }
  const versions = async (installed: Record<string, string>, node: string, npm: string | null) => {
    const findings = await checkVersions({ root: await project(installed), node, ask: async () => npm });
    return findings.map(({ status, says }) => `${status} ${says}`);
  };

  it("are well as the lock file has them", async () => {
    expect(await versions({ zod: "4.6.7", node: "24.21.0" }, "v24.21.0", "11.2.0")).toEqual([
      "ok Node 24.21.0, the one that the project brings",
      "ok npm 11.2.0",
      "ok 2 packages are those of the lock file",
    ]);
  });

  it("are told apart: newer may do, older does not; a package that is missing or different fails", async () => {
    expect(await versions({ zod: "4.6.6" }, "v26.0.0", "12.0.0")).toEqual([
      "warn Node 26.0.0; the project brings 24.21.0",
      "warn npm 12.0.0; tried are 10 and 11",
      "fail packages differ from the lock file: zod (4.6.6, wanted 4.6.7), node (missing, wanted 24.21.0)",
    ]);
    expect(await versions({ zod: "4.6.7", node: "24.21.0" }, "v22.1.0", null)).toEqual([
      "fail Node 22.1.0; the project brings 24.21.0",
      "warn npm cannot be called",
      "ok 2 packages are those of the lock file",
    ]);
  });
});

describe("processes", () => {
  const state = (name: string, ready: boolean) => ({ name, ready, ...(ready ? {} : { why: "it does not answer" }) });

  it("none of which runs are one warning; of those that run, what a receipt needs must be ready", () => {
    const readiness = {
      ready: false,
      processes: [state("audit", true), state("broker", false), state("edge-agent", false)],
    };
    expect(checkProcesses(readiness, new Set()).map(({ status }) => status)).toEqual(["warn"]);
    expect(checkProcesses(readiness, new Set(["audit"])).map(({ status, says }) => `${status} ${says}`)).toEqual([
      "ok audit is ready",
      "fail broker: it does not answer",
      "warn edge-agent: it does not answer",
    ]);
  });
});
