import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { Store } from "../../../lib/storage/store/store.ts";

const stack = fileURLToPath(new URL("../../../tools/stack.ts", import.meta.url));
let folder: string;
let data: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rastro-stack-"));
  data = join(folder, "data");
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs the real stack until it gives up. */
async function start(settings: Record<string, string>) {
  const env = {
    PATH: process.env["PATH"],
    RASTRO_DATA: data,
    RASTRO_MQTT_PORT: "0",
    RASTRO_WS_PORT: "0",
    RASTRO_MQTTS_PORT: "0",
    RASTRO_HTTP_PORT: "0",
    RASTRO_STATION_PORT: "0",
    ...settings,
  };
  const child = spawn(process.execPath, [stack], { env, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, [exit]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { stdout, stderr, exit: exit as number };
}

async function takePort(): Promise<{ server: Server; port: number }> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

describe("a start that cannot be says why in one sentence, exits with 1 and starts nothing", () => {
  test.each([
    [
      "a port that is none",
      { RASTRO_MQTT_PORT: "seven" },
      'RASTRO_MQTT_PORT is "seven"; expected: a port from 1 to 65535',
    ],
    ["a host by its name", { RASTRO_HOST: "plant.example" }, "expected: an address such as 127.0.0.1 or 0.0.0.0"],
    [
      "a short password, not shown",
      { RASTRO_ADMIN_PASSWORD: "short" },
      "expected: a password of at least 8 characters",
    ],
    ["another broker", { RASTRO_BROKER_URL: "mqtt://10.0.0.1:1883" }, "this version runs with its own broker only"],
  ])("%s", async (_what, settings, sentence) => {
    const { stdout, stderr, exit } = await start(settings);
    expect({ stdout, exit, lines: stderr.split("\n").length }).toEqual({ stdout: "", exit: 1, lines: 2 });
    expect(stderr).toContain(sentence);
    expect(stderr).not.toContain("short\n");
    expect(existsSync(data)).toBe(false);
  });

  test.each([
    ["RASTRO_MQTT_PORT", "MQTT"],
    ["RASTRO_MQTTS_PORT", "MQTT over TLS"],
    ["RASTRO_WS_PORT", "MQTT over WebSocket"],
    ["RASTRO_HTTP_PORT", "the console"],
  ])("a taken port: %s", async (variable, use) => {
    const { server, port } = await takePort();
    try {
      const { stdout, stderr, exit } = await start({ [variable]: String(port) });
      expect({ stdout, exit }).toEqual({ stdout: "", exit: 1 });
      expect(stderr).toBe(
        `Opening port ${port} of 127.0.0.1 for ${use} failed: another program listens there; ` +
          `stop it, or choose another port with ${variable}.\n`,
      );
      expect(existsSync(foldersOf(data).keys)).toBe(false);
    } finally {
      server.close();
    }
  });

  test("a data folder that cannot be made", async () => {
    await writeFile(join(folder, "file"), "");
    const { stdout, stderr, exit } = await start({ RASTRO_DATA: join(folder, "file", "data") });
    expect({ stdout, exit }).toEqual({ stdout: "", exit: 1 });
    expect(stderr).toBe(
      `Writing into the data folder ${join(folder, "file", "data")} failed (ENOTDIR); ` +
        "make it writable for this user, or name another folder with RASTRO_DATA.\n",
    );
  });

  test("a data folder that another stack has", async () => {
    const lock = await Store.openFolder(foldersOf(data).stackLock);
    try {
      const { stdout, stderr, exit } = await start({});
      expect({ stdout, exit }).toEqual({ stdout: "", exit: 1 });
      expect(stderr).toBe(
        `Starting the stack failed: another one runs with the data folder ${data}; ` +
          "stop it, or name another folder with RASTRO_DATA (and other ports).\n",
      );
    } finally {
      await lock.close();
    }
  });

  test("a store that another process has open", async () => {
    const store = await Store.openFolder(foldersOf(data).directory);
    try {
      const { stderr, exit } = await start({});
      expect(exit).toBe(1);
      expect(stderr.split("\n")).toHaveLength(2);
      expect(stderr).toContain(foldersOf(data).directory);
    } finally {
      await store.close();
    }
  });
});
