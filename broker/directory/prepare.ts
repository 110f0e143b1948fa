import { HUB_SERVICES } from "../../lib/contracts/directory.ts";
import { BookName } from "../../lib/contracts/names.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import { foldersOf } from "../../lib/runtime/folders.ts";
import { type KeyPair, loadOrCreateKey, readPublicKey, writePublicKey } from "../../lib/runtime/keys.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import { openLogKeys } from "../../lib/runtime/log-keys.ts";
import { openPlant } from "../../lib/runtime/plant.ts";
import type { Settings } from "../../lib/runtime/settings.ts";
import { replaceFile } from "../../lib/runtime/new-file.ts";
import { openAuthority } from "../tls/authority.ts";
import type { Directory } from "./directory.ts";
import { BY_DIRECTORY } from "./drafts.ts";
import { openDirectoryOf } from "./stores.ts";

/** The first administrator's name when the password comes from the environment. */
const ADMIN = "admin";

export type Prepared = {
  /** The plant's id. */
  plant: string;
  /** The id of this machine's own agent. */
  machine: string;
  /** The one-time code for `rastro setup`; null when there is an administrator. */
  setupCode: string | null;
  /** True when this call made the administrator `admin` from RASTRO_ADMIN_PASSWORD. */
  adminCreated: boolean;
};

/**
 * Makes a data folder ready before the processes start: plant, keys, services, this machine's own agent, the first
 * administrator or a one-time code. Does only what is still missing, so it runs at every start; both stores are closed
 * again when it returns.
 *
 * @throws RastroError `store_locked` when the stack of this folder runs already, `store_unusable`, `store_newer`,
 *   `name_taken` when RASTRO_MACHINE is somebody else's name.
 */
export async function prepare(o: {
  settings: Pick<Settings, "data" | "tz" | "machine" | "adminPassword">;
  log: Logger;
  now: () => number;
  random: (bytes: number) => Buffer;
}): Promise<Prepared> {
  const { settings, now, random } = o;
  const folders = foldersOf(settings.data);
  const plant = await openPlant({ data: settings.data, now, random });
  const signing = await loadOrCreateKey(folders.directoryKey);
  await writePublicKey(folders.directoryPublicKey, signing.publicRaw);
  const authority = await openAuthority({
    key: folders.authorityKey,
    certificate: folders.authorityCertificate,
    plant: plant.id,
    now,
  });
  await replaceFile(folders.agentPinnedAuthority(settings.machine), authority.certificate, 0o644);
  for (const book of BookName.options) await openLogKeys({ folders, book, plant: plant.id });
  await pinCommandKey({ folders, machine: settings.machine, log: o.log });

  const opened = await openDirectoryOf({ folders, plant, tz: settings.tz, log: o.log, now, random });
  try {
    const { directory } = opened;
    await registerServices(directory, folders);
    await registerOwnMachine(directory, settings.machine, await loadOrCreateKey(folders.agentKey(settings.machine)));
    const adminCreated = await createAdministrator(directory, settings.adminPassword);
    const setupCode = await directory.renewSetupCode();
    return { plant: plant.id, machine: settings.machine, setupCode, adminCreated };
  } finally {
    await opened.close();
  }
}

/**
 * Makes the fleet's command key and pins its public part where this machine's own agent looks for it. A pin that differs
 * is replaced: who can write here holds the private key as well. Other computers are given theirs by hand (docs/commands.md).
 */
async function pinCommandKey(o: { folders: Folders; machine: string; log: Logger }): Promise<void> {
  const { publicRaw, fingerprint } = await loadOrCreateKey(o.folders.fleetCommandKey);
  await writePublicKey(o.folders.fleetCommandPublicKey, publicRaw);
  const file = o.folders.agentPinnedFleetKey(o.machine);
  const pinned = await readPublicKey(file).catch(() => null);
  if (pinned?.equals(publicRaw) === true) return;
  await writePublicKey(file, publicRaw);
  o.log.info({ machine: o.machine, fingerprint }, "pinned the fleet's command key for this machine's agent");
}

async function registerServices(directory: Directory, folders: Folders): Promise<void> {
  for (const name of HUB_SERVICES) {
    const key = await loadOrCreateKey(folders.serviceKey(name));
    const registered = directory.register.get(name);
    if (registered === undefined) await directory.devices.addService(BY_DIRECTORY, name, base64(key));
    else if (principalKey(registered) !== base64(key))
      await directory.devices.replaceKey(BY_DIRECTORY, name, base64(key));
  }
}

async function registerOwnMachine(directory: Directory, id: string, key: KeyPair): Promise<void> {
  const registered = directory.register.get(id);
  if (registered?.kind === "machine") {
    // Whoever can lose or replace the agent's key on the hub's own disk could as well have registered another.
    if (registered.publicKey !== base64(key)) await directory.devices.replaceKey(BY_DIRECTORY, id, base64(key));
    return;
  }
  await directory.devices.addMachine(BY_DIRECTORY, { id, publicKey: base64(key), speaksFor: [] });
}

async function createAdministrator(directory: Directory, password: string | null): Promise<boolean> {
  if (password === null || directory.people.hasAdministrator()) return false;
  await directory.people.add(BY_DIRECTORY, { name: ADMIN, profile: "administrator", password });
  return true;
}

function base64(key: KeyPair): string {
  return key.publicRaw.toString("base64");
}

function principalKey(record: { kind: string; publicKey?: string | null }): string | null {
  return record.publicKey ?? null;
}
