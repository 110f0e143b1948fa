import { readFile } from "node:fs/promises";
import { RastroError } from "../../lib/contracts/errors.ts";
import { createDirectoryClient, type DirectoryClient } from "../../lib/runtime/directory-client.ts";
import { brokerAuthority } from "../../lib/runtime/broker-authority.ts";
import { foldersOf } from "../../lib/runtime/folders.ts";
import { readRunFile } from "../../lib/runtime/run-files.ts";
import { reachable, readSettings, type Settings } from "../../lib/runtime/settings.ts";
import { usageError } from "./usage.ts";

/** Where the hub is, as seen from this command. */
export type Hub = {
  settings: Settings;
  directory: DirectoryClient;
  localKeyFile: string;
  /** The authority by which the broker is known over TLS. @throws RastroError `bad_setting`. */
  ca: () => string | undefined;
};

/**
 * Finds the hub: the directory at `RASTRO_URL`, else where the running broker of the data folder says it listens, else
 * behind the console; the broker at `RASTRO_BROKER_URL` or on the port of the settings.
 *
 * @throws RastroError `bad_setting`.
 */
export function findHub(env: NodeJS.ProcessEnv): Hub {
  const settings = readSettings(env);
  const url = directoryUrl(env, settings);
  const folders = foldersOf(settings.data);
  const ca = () => brokerAuthority({ ...settings, pinned: folders.authorityCertificate });
  return { settings, directory: createDirectoryClient({ url }), localKeyFile: folders.localAdmin, ca };
}

function directoryUrl(env: NodeJS.ProcessEnv, settings: Settings): string {
  const named = env["RASTRO_URL"]?.trim();
  if (named) return checkedUrl(named);
  const local = reachable(settings.host);
  const host = local.includes(":") ? `[${local}]` : local;
  return readRunFile(settings.data, "broker")?.url ?? `http://${host}:${settings.httpPort}`;
}

function checkedUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text.replace(/\/+$/, "");
  throw usageError("RASTRO_URL", JSON.stringify(text), "an address such as http://127.0.0.1:8080");
}

/** The hub's local key; null where there is none or it belongs to somebody else. */
export async function readLocalKey(hub: Hub): Promise<string | null> {
  try {
    return (await readFile(hub.localKeyFile, "utf8")).trim();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "EACCES" || code === "ENOTDIR") return null;
    throw new RastroError(
      { code: "bad_setting", message: `Reading ${hub.localKeyFile} failed (${code ?? String(cause)}).` },
      { cause },
    );
  }
}
