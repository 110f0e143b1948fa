import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { parseJson } from "../../lib/contracts/parse.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";
import { outputOf } from "./output-of.ts";

const Versions = z.record(z.string(), z.string()).default({});
const Manifest = z.object({ version: z.string(), dependencies: Versions, devDependencies: Versions });
const Lock = z.object({ packages: z.record(z.string(), z.object({ version: z.string().optional() })) });
const Installed = z.object({ version: z.string() });

const SET_UP = "node tools/setup.mjs (npm start does it too)";
const NPM_TRIED: readonly number[] = [10, 11];

/** Looks at Node, npm and the packages. @param o.root - folder of the project. */
export async function checkVersions(o: { root: string; node: string; ask?: typeof outputOf }): Promise<Finding[]> {
  const manifest = await read(Manifest, join(o.root, "package.json"));
  const npm = await (o.ask ?? outputOf)("npm", ["--version"]);
  return [
    judgeNode(o.node, manifest.devDependencies["node"] ?? ""),
    judgeNpm(npm),
    await judgePackages(o.root, manifest),
  ];
}

/** The project's version, which a hub of the same version says on `$SYS/broker/version`. */
export async function ownVersion(root: string): Promise<string> {
  return (await read(Manifest, join(root, "package.json"))).version;
}

function judgeNode(running: string, pinned: string): Finding {
  const version = running.replace(/^v/, "");
  if (version === pinned) return ok("versions", `Node ${version}, the one that the project brings`);
  const says = `Node ${version}; the project brings ${pinned}`;
  const todo = "call it by npm (npm run rastro -- doctor), which takes the project's own";
  return majorOf(version) < majorOf(pinned) ? fail("versions", says, todo) : warn("versions", says, todo);
}

function judgeNpm(version: string | null): Finding {
  if (version === null)
    return warn("versions", "npm cannot be called", "install npm 11; npm start and npm test need it");
  if (NPM_TRIED.includes(majorOf(version))) return ok("versions", `npm ${version}`);
  return warn("versions", `npm ${version}; tried are ${NPM_TRIED.join(" and ")}`, "install npm 11");
}

/** Packages are as the lock file names them, at least those that the project asks for itself. */
async function judgePackages(root: string, manifest: z.infer<typeof Manifest>): Promise<Finding> {
  const { packages } = await read(Lock, join(root, "package-lock.json"));
  const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
  const wrong: string[] = [];
  for (const name of names) {
    const wanted = packages[`node_modules/${name}`]?.version;
    const installed = await installedVersion(root, name);
    if (installed !== wanted) wrong.push(`${name} (${installed ?? "missing"}, wanted ${wanted ?? "none"})`);
  }
  if (wrong.length === 0) return ok("versions", `${names.length} packages are those of the lock file`);
  return fail("versions", `packages differ from the lock file: ${wrong.join(", ")}`, SET_UP);
}

async function installedVersion(root: string, name: string): Promise<string | null> {
  try {
    return (await read(Installed, join(root, "node_modules", name, "package.json"))).version;
  } catch {
    return null;
  }
}

async function read<S extends z.ZodType>(schema: S, file: string): Promise<z.infer<S>> {
  return parseJson(schema, await readFile(file), file);
}

function majorOf(version: string): number {
  return Number.parseInt(version, 10);
}
