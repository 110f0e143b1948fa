// Installs what package-lock.json names when it is not installed yet; otherwise returns at once.
// Plain JavaScript without dependencies: it has to run on whatever Node (20 or newer) the machine brings, before the
// project's own Node is there. npm runs it before start, test, check and rastro. Everything it says goes to stderr, so
// that the output of the command that follows stays clean.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MODULES = join(ROOT, "node_modules");
const STAMP = join(MODULES, ".rastro-setup");
const LOCK = join(MODULES, ".rastro-setup-lock");
const OLDEST_NODE = 20;
const LOCK_WAIT_MS = 10 * 60_000;

main();

function main() {
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    fail(`Setting up needs Node ${OLDEST_NODE} or newer, and this is ${process.versions.node}; install a newer one.`);
  }
  if (isInstalled()) return;
  withLock(() => {
    if (isInstalled()) return;
    install();
    checkInstalled();
    writeFileSync(STAMP, fingerprint());
  });
}

/** The installation fits when it was made from this lock file, for this platform, with the wanted Node. */
function isInstalled() {
  return existsSync(pinnedNode()) && read(STAMP) === fingerprint();
}

function fingerprint() {
  const parts = [read(join(ROOT, "package-lock.json")), process.platform, process.arch, wantedNode()];
  return createHash("sha256").update(parts.join("\n")).digest("hex");
}

function wantedNode() {
  return JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).devDependencies.node;
}

function pinnedNode() {
  return join(MODULES, "node", "bin", process.platform === "win32" ? "node.exe" : "node");
}

/*
 * `install`, not `ci`: registries that mirror only some platforms lack binaries which the lock file names, and `ci`
 * then refuses the lock file. `--include=dev` because the pinned Node is a development dependency and NODE_ENV may
 * say production. `--no-save` because npm 10 would write a lock file of npm 11 anew without what it does not know.
 */
function install() {
  say("Installing packages (first start, or the lock file changed) …");
  const options = ["install", "--no-save", "--no-audit", "--no-fund", "--include=dev", "--loglevel=error"];
  const npm = process.env.npm_execpath;
  const [command, args] = npm?.endsWith(".js") ? [process.execPath, [npm, ...options]] : ["npm", options];
  const done = spawnSync(command, args, {
    cwd: ROOT,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32" && command === "npm",
  });
  if (done.error) fail(`Starting npm failed (${done.error.message}); put npm 10 or newer on the PATH.`);
  if (done.status !== 0) fail(`"npm install" failed in ${ROOT}; its own lines above say why. Mend that and repeat.`);
}

/** What a registry mirror or a forbidden install script would leave out, said now rather than in the middle of a start. */
function checkInstalled() {
  const wanted = wantedNode();
  const version = run(pinnedNode(), ["--version"]);
  if (version.stdout !== `v${wanted}`) {
    fail(
      `Node ${wanted} was not installed (${version.stderr || `found ${version.stdout || "nothing"}`}); ` +
        `its package fetches it in an install script, so allow scripts (no "ignore-scripts" in .npmrc) and repeat.`,
    );
  }
  for (const addon of ["argon2", "classic-level"]) {
    const loaded = run(pinnedNode(), ["--input-type=module", "--eval", `await import(${JSON.stringify(addon)})`]);
    if (loaded.status === 0) continue;
    const why = loaded.stderr.split("\n").find((line) => line.includes("Error")) ?? "no reason given";
    fail(
      `The native package ${addon} does not load on ${process.platform}-${process.arch} (${why.trim()}); ` +
        `install a C++ compiler and Python 3 so that it can be built here, remove node_modules and repeat.`,
    );
  }
}

function run(command, args) {
  const done = spawnSync(command, args, { cwd: ROOT, encoding: "utf8", timeout: 30_000 });
  const stderr = done.error ? done.error.message : (done.stderr ?? "").trim();
  return { status: done.status, stdout: (done.stdout ?? "").trim(), stderr };
}

/** Two commands typed at once in a fresh clone must not install into the same folder: the second waits for the first. */
function withLock(work) {
  mkdirSync(MODULES, { recursive: true });
  const end = Date.now() + LOCK_WAIT_MS;
  while (!takeLock()) {
    if (isAbandoned()) rmSync(LOCK, { force: true });
    else if (Date.now() > end) fail(`Another set-up has held ${LOCK} for 10 minutes; stop it and repeat.`);
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
  process.on("exit", () => rmSync(LOCK, { force: true }));
  work();
}

function takeLock() {
  try {
    writeFileSync(LOCK, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    return fail(`Writing into ${MODULES} failed (${error.message}); make the folder writable and repeat.`);
  }
}

/** An empty lock is one that its owner is writing at this moment. */
function isAbandoned() {
  const owner = read(LOCK);
  return owner !== "" && !isRunning(Number(owner));
}

function isRunning(pid) {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
}

function read(file) {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function fail(sentence) {
  say(sentence);
  process.exit(1);
}
