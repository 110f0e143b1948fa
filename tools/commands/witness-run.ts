import { spawn } from "node:child_process";
import { once } from "node:events";
import { rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { inspectWitness } from "../../lib/witness/inspect.ts";
import { foldersOf } from "../../lib/runtime/folders.ts";
import { codeOf, unusable } from "../../lib/runtime/new-file.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { syncFolder } from "../../lib/storage/sync-folder.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { list, localTime, table } from "../client/print.ts";
import type { Terminal } from "../client/terminal.ts";

const MAIN = fileURLToPath(new URL("../../services/witness/main.ts", import.meta.url));

/** Runs the witness as a process of its own, with this terminal's streams, until it ends. */
export async function runWitness({ env }: Terminal): Promise<Outcome> {
  // By the channel it notices when this process is gone; it leaves Ctrl-C to this one.
  const child = spawn(process.execPath, [MAIN], { env, stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const stop = () => void (process.platform === "win32" ? child.send({ stop: true }) : child.kill("SIGTERM"));
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  const [code] = (await once(child, "close")) as [number | null];
  process.off("SIGINT", stop);
  process.off("SIGTERM", stop);
  return { data: { exit: code }, text: "", exit: code === 0 ? EXIT.done : EXIT.no };
}

/** What lies on this computer; the witness need not run. The exit code is 1 while an alarm is raised. */
export async function showWitness({ env }: Terminal): Promise<Outcome> {
  const { machine, data } = readSettings(env);
  const folders = foldersOf(data);
  const shown = await inspectWitness({
    publicKeyFile: folders.agentWitnessPublicKey(machine),
    folder: folders.agentWitness(machine),
  });
  const rows = shown.cosigned.map(({ origin, size, at }) => [origin, size, at === null ? "damaged" : localTime(at)]);
  const alarms = shown.alarms.map(({ file, alarm }) =>
    alarm === null ? `An alarm cannot be read:\n  ${file}` : `${alarm.alarm}  ${alarm.message}\n  ${file}`,
  );
  const text = [
    list([
      ["machine", machine],
      ["key", shown.vkey ?? "none yet: it is made at the first start"],
    ]),
    await table(["log", "records", "cosigned"], rows, "It has cosigned nothing yet."),
    ...alarms,
  ].join("\n\n");
  return { data: { machine, ...shown }, text, exit: alarms.length === 0 ? EXIT.done : EXIT.no };
}

/**
 * Puts key and state of this computer's witness aside. The key goes first: a witness that is started in between has
 * another key, which its notes do not fit, and cosigns nothing.
 */
export async function renewWitness({ env }: Terminal): Promise<Outcome> {
  const { machine, data } = readSettings(env);
  const folders = foldersOf(data);
  const mark = new Date().toISOString().replaceAll(/[:.-]/g, "");
  const aside: string[] = [];
  for (const path of [folders.agentWitnessKey(machine), folders.agentWitness(machine)]) {
    if (await moveAside(path, `${path}-${mark}`)) aside.push(`${path}-${mark}`);
  }
  await rm(folders.agentWitnessPublicKey(machine), { force: true });
  const text =
    aside.length === 0
      ? "There is no witness here yet: nothing was changed."
      : `Put aside:\n${aside.map((path) => `  ${path}`).join("\n")}\n\nStart it anew: it makes another key, which has to be let in (rastro witness add).`;
  return { data: { machine, aside }, text };
}

async function moveAside(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    await syncFolder(dirname(from));
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw unusable("Putting aside", from, error);
  }
}
