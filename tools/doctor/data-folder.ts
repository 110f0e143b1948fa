import { readdir, rm, stat, writeFile } from "node:fs/promises";
import { freeBytes } from "../../lib/runtime/disk.ts";
import { dirname, join } from "node:path";
import { foldersOf } from "../../lib/runtime/folders.ts";
import { codeOf } from "../../lib/runtime/new-file.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

const MIB = 1024 * 1024;
/** A day of a busy plant is some hundred MiB. */
const PLENTY_BYTES = 2048 * MIB;
const LEAST_BYTES = 200 * MIB;

/** Looks whether the data folder is there, can be written, has room, and keeps its keys from others. */
export async function checkDataFolder(o: {
  data: string;
  platform: NodeJS.Platform;
  freeBytes?: (folder: string) => Promise<number>;
}): Promise<Finding[]> {
  if (!(await exists(o.data))) return [await judgeMissing(o.data)];
  const space = await (o.freeBytes ?? freeBytes)(o.data);
  return [await judgeWriting(o.data), judgeSpace(o.data, space), await judgeKeys(o.data, o.platform)];
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return false;
    throw error;
  }
}

/** It is made at the first start, which takes a folder above it that can be written. */
async function judgeMissing(data: string): Promise<Finding> {
  let above = dirname(data);
  while (!(await exists(above)) && dirname(above) !== above) above = dirname(above);
  const trouble = await writeProbe(above);
  if (trouble === null) return ok("data", `${data} does not exist yet; the first start makes it`);
  return fail(
    "data",
    `${data} does not exist and cannot be made (${trouble})`,
    `make ${above} writable for this user, or name another folder with RASTRO_DATA`,
  );
}

async function judgeWriting(data: string): Promise<Finding> {
  const trouble = await writeProbe(data);
  if (trouble === null) return ok("data", `${data} can be written`);
  const todo = `make it writable for this user, or name another folder with RASTRO_DATA`;
  return fail("data", `${data} cannot be written (${trouble})`, todo);
}

/** The system's code for what went wrong; null when nothing did. */
async function writeProbe(folder: string): Promise<string | null> {
  const probe = join(folder, `.doctor-${process.pid}`);
  try {
    await writeFile(probe, "", { flag: "wx" });
    await rm(probe);
    return null;
  } catch (error) {
    return codeOf(error) ?? String(error);
  }
}

function judgeSpace(data: string, bytes: number): Finding {
  const says = `${Math.floor(bytes / MIB)} MiB are free on the disk of ${data}`;
  if (bytes >= PLENTY_BYTES) return ok("space", says);
  const todo = "make room; without any, entries stay with the agents and no receipt is given";
  return bytes >= LEAST_BYTES ? warn("space", says, todo) : fail("space", says, todo);
}

async function judgeKeys(data: string, platform: NodeJS.Platform): Promise<Finding> {
  if (platform === "win32") return ok("keys", "permissions are those of the folder on this system");
  const files = await keyFiles(data);
  const open: string[] = [];
  for (const file of files) if (((await stat(file)).mode & 0o077) !== 0) open.push(file);
  if (open.length === 0) return ok("keys", `${files.length} key files, each readable by its owner only`);
  return fail("keys", `others can read ${open.join(", ")}`, `chmod 600 ${open.map(quoted).join(" ")}`);
}

/** Everything below the data folder that is a secret: private keys, the door's keys, the local administrator's. */
async function keyFiles(data: string): Promise<string[]> {
  const names = await readdir(data, { recursive: true, withFileTypes: true });
  const { localAdmin, consoleForwarding } = foldersOf(data);
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => file.endsWith(".key") || file === localAdmin || file === consoleForwarding)
    .toSorted();
}

function quoted(path: string): string {
  return /^[\w./@:-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
