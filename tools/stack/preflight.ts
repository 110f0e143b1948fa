import { existsSync } from "node:fs";
import { access, constants, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RastroError } from "../../lib/contracts/errors.ts";
import { foldersOf } from "../../lib/runtime/folders.ts";
import { readSettings, type Settings } from "../../lib/runtime/settings.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { STACK } from "./plan.ts";
import { checkPort } from "./ports.ts";

/** What the stack found before anything was started. `release` lets go of the data folder. */
export type Cleared = { settings: Settings; release(): Promise<void> };

/**
 * Checks everything that would make a start fail, before anything is started: settings, data folder, lock, ports. Ports
 * of 0 are given their numbers here, since every process has to know them.
 *
 * @throws RastroError with one sentence that says what, where and what to do.
 */
export async function preflight(env: NodeJS.ProcessEnv): Promise<Cleared> {
  const settings = readSettings(env);
  refuseExternalBroker(settings);
  await checkWritable(settings.data);
  const release = await lock(settings.data);
  try {
    const mqttPort = await checkPort(settings.host, {
      port: settings.mqttPort,
      variable: "RASTRO_MQTT_PORT",
      use: "MQTT",
    });
    const mqttsPort = await checkPort(settings.tlsHost, {
      port: settings.mqttsPort,
      variable: "RASTRO_MQTTS_PORT",
      use: "MQTT over TLS",
    });
    const wsPort = await checkPort(settings.host, {
      port: settings.wsPort,
      variable: "RASTRO_WS_PORT",
      use: "MQTT over WebSocket",
    });
    const httpPort = await checkPort(settings.host, {
      port: settings.httpPort,
      variable: "RASTRO_HTTP_PORT",
      use: "the console",
    });
    await removeOldRunFiles(settings.data);
    return { settings: { ...settings, mqttPort, mqttsPort, wsPort, httpPort }, release };
  } catch (error) {
    await release();
    throw error;
  }
}

function refuseExternalBroker(settings: Settings): void {
  if (!settings.externalBroker) return;
  throw new RastroError({
    code: "bad_setting",
    message:
      "Starting the stack failed: RASTRO_BROKER_URL is set, but this version runs with its own broker only; unset it here " +
      "(the command line may keep it).",
    field: "RASTRO_BROKER_URL",
    expected: "not set",
  });
}

async function checkWritable(data: string): Promise<void> {
  const probe = join(data, `.probe-${process.pid}`);
  try {
    await makeFolder(data);
    await access(data, constants.R_OK | constants.W_OK | constants.X_OK);
    await writeFile(probe, "");
    await rm(probe);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const message =
      `Writing into the data folder ${data} failed (${code}); ` +
      `make it writable for this user, or name another folder with RASTRO_DATA.`;
    throw new RastroError({ code: "store_unusable", message, field: "RASTRO_DATA", given: data }, { cause });
  }
}

/** As `mkdir -p`; Node's own turns in circles where a folder cannot be made below one that exists (/proc). */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    if (code !== "ENOENT" || existsSync(dirname(folder))) throw error;
    await makeFolder(dirname(folder));
    await makeFolder(folder);
  }
}

/** LevelDB's lock goes with the process that holds it, however that ends; a file with a process id would not. */
async function lock(data: string): Promise<() => Promise<void>> {
  try {
    const held = await Store.openFolder(foldersOf(data).stackLock);
    return () => held.close();
  } catch (cause) {
    if (!(cause instanceof RastroError) || cause.code !== "store_locked") throw cause;
    const message =
      `Starting the stack failed: another one runs with the data folder ${data}; ` +
      `stop it, or name another folder with RASTRO_DATA (and other ports).`;
    throw new RastroError({ code: "store_locked", message, field: "RASTRO_DATA", given: data }, { cause });
  }
}

/** Whoever holds the lock knows that what a killed stack left behind is no longer true. */
async function removeOldRunFiles(data: string): Promise<void> {
  const { runFile } = foldersOf(data);
  for (const { name } of STACK.flat()) await rm(runFile(name), { force: true });
}
