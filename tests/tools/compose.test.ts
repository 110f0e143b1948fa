import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { readSettings } from "../../lib/runtime/settings.ts";

const root = new URL("../../", import.meta.url);
const file = readFileSync(fileURLToPath(new URL("docker-compose.yml", root)), "utf8");
const { services } = parse(file, { strict: true, uniqueKeys: true }) as {
  services: { rastro: Record<string, unknown> };
};
const hub = services.rastro as {
  image: string;
  network_mode: string;
  working_dir: string;
  command: string[];
  volumes: string[];
  environment: Record<string, string>;
  healthcheck: { test: string[] };
  stop_grace_period: string;
};

test("has one service and only keys that Compose knows", () => {
  const known = [
    "image",
    "network_mode",
    "working_dir",
    "command",
    "volumes",
    "environment",
    "init",
    "stop_grace_period",
    "restart",
    "healthcheck",
  ];
  expect(Object.keys(services)).toEqual(["rastro"]);
  expect(Object.keys(hub).filter((key) => !known.includes(key))).toEqual([]);
});

test("its environment is read without complaint and names the preset ports", () => {
  const settings = readSettings(hub.environment);
  const presets = readSettings({});
  expect(settings).toMatchObject({ host: presets.host, mqttPort: presets.mqttPort, httpPort: presets.httpPort });
  expect(Object.keys(hub.environment).filter((name) => !name.startsWith("RASTRO_"))).toEqual([]);
});

test("listens on loopback, so it uses the host's network and publishes no ports", () => {
  expect(hub.network_mode).toBe("host");
  expect(hub).not.toHaveProperty("ports");
});

test("runs npm start in the mounted project, with the data folder on a volume", () => {
  const { scripts } = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as {
    scripts: Record<string, string>;
  };
  expect(hub.command).toEqual(["npm", "start"]);
  expect(scripts["start"]).toContain("node tools/stack.ts");
  const targets = hub.volumes.map((volume) => volume.split(":")[1]);
  expect(targets).toContain(hub.working_dir);
  expect(targets).toContain(hub.environment["RASTRO_DATA"]);
});

test("brings a Node that satisfies package.json", () => {
  const { engines } = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as { engines: { node: string } };
  const major = Number(/^node:(\d+)-bookworm-slim$/.exec(hub.image)?.[1]);
  expect(`>=${major}`).toBe(engines.node);
});

test("asks the console's /readyz for its health, in words that a JavaScript engine understands", () => {
  const [kind, program, flag, code = ""] = hub.healthcheck.test;
  expect([kind, program, flag]).toEqual(["CMD", "node", "-e"]);
  expect(code).toContain(`http://127.0.0.1:${readSettings(hub.environment).httpPort}/readyz`);
  expect(() => new Script(code)).not.toThrow();
});

test("gives the stack longer than the 5 s that it takes to stop", () => {
  expect(Number.parseInt(hub.stop_grace_period, 10)).toBeGreaterThan(5);
});
