import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

/*
 * The script in a project of its own, with a stand-in for npm that writes down how it was called and "installs" the
 * files that the script looks at.
 */

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "rastro-setup-"));
  mkdirSync(join(root, "tools"));
  copyFileSync(fileURLToPath(new URL("../../tools/setup.mjs", import.meta.url)), join(root, "tools", "setup.mjs"));
  const wanted = process.versions.node;
  writeFileSync(join(root, "package.json"), JSON.stringify({ name: "x", devDependencies: { node: wanted } }));
  writeFileSync(join(root, "package-lock.json"), "{}");
  writeFileSync(join(root, "npm.js"), npmStandIn("true"));
});
afterEach(() => rmSync(root, { recursive: true }));

function npmStandIn(loads: string): string {
  return `
    const fs = require("node:fs");
    fs.appendFileSync("calls", process.argv.slice(2).join(" ") + "\\n");
    fs.mkdirSync("node_modules/node/bin", { recursive: true });
    fs.rmSync("node_modules/node/bin/node", { force: true });
    fs.symlinkSync(process.execPath, "node_modules/node/bin/node");
    for (const name of ["argon2", "classic-level"]) {
      fs.mkdirSync("node_modules/" + name, { recursive: true });
      fs.writeFileSync("node_modules/" + name + "/index.js", ${JSON.stringify(loads)});
    }`;
}

async function setup() {
  const child = spawn(process.execPath, [join(root, "tools", "setup.mjs")], {
    env: { PATH: process.env["PATH"], npm_execpath: join(root, "npm.js") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, [exit]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { stdout, stderr, exit: exit as number };
}
const calls = () =>
  existsSync(join(root, "calls")) ? readFileSync(join(root, "calls"), "utf8").trim().split("\n") : [];

test("installs once, says one line on stderr, and then nothing more", async () => {
  const first = await setup();
  expect(first).toEqual({ stdout: "", stderr: expect.stringMatching(/^Installing packages[^\n]*\n$/), exit: 0 });
  expect(calls()).toEqual(["install --no-save --no-audit --no-fund --include=dev --loglevel=error"]);
  expect(await setup()).toEqual({ stdout: "", stderr: "", exit: 0 });
  expect(calls()).toHaveLength(1);
});

test("installs again when the lock file changed, or the pinned Node is gone", async () => {
  await setup();
  writeFileSync(join(root, "package-lock.json"), "{ }");
  await setup();
  rmSync(join(root, "node_modules", "node"), { recursive: true });
  await setup();
  expect(calls()).toHaveLength(3);
});

test("the stamp names lock file, platform and Node", async () => {
  await setup();
  const parts = ["{}", process.platform, process.arch, process.versions.node];
  const stamp = createHash("sha256").update(parts.join("\n")).digest("hex");
  expect(readFileSync(join(root, "node_modules", ".rastro-setup"), "utf8")).toBe(stamp);
});

test("two at once install once", async () => {
  const both = await Promise.all([setup(), setup()]);
  expect(both.map((one) => one.exit)).toEqual([0, 0]);
  expect(calls()).toHaveLength(1);
  expect(existsSync(join(root, "node_modules", ".rastro-setup-lock"))).toBe(false);
});

test("a lock that a killed set-up left behind is taken over", async () => {
  mkdirSync(join(root, "node_modules"));
  // No process can have this id: it is above what Linux and macOS give.
  writeFileSync(join(root, "node_modules", ".rastro-setup-lock"), "999999999");
  expect(await setup()).toMatchObject({ exit: 0 });
});

test("a failing npm is one sentence, and the next call tries again", async () => {
  writeFileSync(join(root, "npm.js"), "process.exit(1)");
  const failed = await setup();
  expect(failed.exit).toBe(1);
  expect(failed.stderr).toContain('"npm install" failed');
  writeFileSync(join(root, "npm.js"), npmStandIn("true"));
  expect(await setup()).toMatchObject({ exit: 0 });
});

test("a native package that does not load is named", async () => {
  writeFileSync(join(root, "npm.js"), npmStandIn('throw new Error("no binary for this platform")'));
  const failed = await setup();
  expect(failed.exit).toBe(1);
  expect(failed.stderr).toContain(`argon2 does not load on ${process.platform}-${process.arch}`);
  expect(failed.stderr).toContain("no binary for this platform");
});

test("another Node than the pinned one is named", async () => {
  writeFileSync(join(root, "package.json"), JSON.stringify({ name: "x", devDependencies: { node: "99.0.0" } }));
  const failed = await setup();
  expect(failed.exit).toBe(1);
  expect(failed.stderr).toContain(`Node 99.0.0 was not installed (found v${process.versions.node})`);
});
