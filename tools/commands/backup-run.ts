import { basename } from "node:path";
import {
  type BackupReport,
  type BackupRow,
  isHubStore,
  STORE_NAMES,
  type StoreName,
} from "../../lib/contracts/backup.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { checkBackup } from "../../lib/storage/backup/check.ts";
import { listBackups } from "../../lib/storage/backup/folder.ts";
import { localPlace, storesOf } from "../backup/places.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { list, localTime, table } from "../client/print.ts";
import { startProgress } from "../client/progress.ts";
import type { SignedInHub } from "../client/session.ts";
import type { Terminal } from "../client/terminal.ts";

export type ListOptions = Record<string, never>;
export type CreateOptions = Record<string, never>;
export type VerifyOptions = Record<string, never>;

/** Begins anew with each report of how far a service has come. */
const TIMEOUT_MS = 9.5 * 60_000;

export async function runList(terminal: Terminal, stores: string[]): Promise<Outcome> {
  const wanted = storesOf(stores);
  const { rows, here } = await listed(terminal, wanted);
  const text = await table(
    ["store", "backup", "made", "records", "bytes", "why", "fault"],
    rows.map(rowOf),
    "There are none.",
  );
  return { data: rows, text: here === null ? text : `${text}\n\nNothing answers: read here, in ${here}.` };
}

/** While nothing runs that could be asked, the folder of this computer is read. */
async function listed(
  terminal: Terminal,
  wanted: readonly StoreName[],
): Promise<{ rows: BackupRow[]; here: string | null }> {
  const { withHub } = await import("../client/session.ts");
  try {
    const all = await withHub(terminal.env, (hub) => Promise.all(owners(wanted).map((owner) => ask(hub, owner))));
    return { rows: all.flat().filter(({ store }) => wanted.includes(store)), here: null };
  } catch (error) {
    if (!(error instanceof RastroError) || error.code !== "not_reachable") throw error;
    const places = await Promise.all(wanted.map((store) => localPlace(terminal.env, store)));
    const rows = await Promise.all(places.map(({ backups, name }) => listBackups(backups, name)));
    return { rows: rows.flat(), here: places[0]?.data ?? "" };
  }
}

type Owner = "hub" | Exclude<StoreName, "directory" | "people-keys" | "sessions">;

function owners(stores: readonly StoreName[]): Owner[] {
  return [...new Set(stores.map((store): Owner => (isHubStore(store) ? "hub" : store)))];
}

function ask(hub: SignedInHub, owner: Owner): Promise<BackupRow[]> {
  return owner === "hub" ? hub.directory.backupList(hub.bearer) : hub.call(owner, "backup-list", {});
}

function rowOf({ store, name, bytes, header, fault }: BackupRow): (string | number | null)[] {
  const made = header === null ? null : localTime(header.madeAt);
  return [store, name, made, header?.size ?? null, bytes, header?.why ?? null, fault];
}

export async function runCreate(terminal: Terminal, stores: string[]): Promise<Outcome> {
  const wanted = storesOf(stores);
  const { withHub } = await import("../client/session.ts");
  const reports = await withHub(terminal.env, async (hub) => {
    const made: (BackupReport & { store: StoreName })[] = [];
    for (const store of wanted) made.push({ store, ...(await create(terminal, hub, store)) });
    return made;
  });
  const rows = reports.map(({ store, name, rows, records, bytes, tookMs }) => [
    store,
    name,
    rows,
    isBook(store) ? records : null,
    bytes,
    `${tookMs} ms`,
  ]);
  return {
    data: reports,
    text: await table(["store", "backup", "rows", "records", "bytes", "read back in"], rows, ""),
  };
}

async function create(terminal: Terminal, hub: SignedInHub, store: StoreName): Promise<BackupReport> {
  if (isHubStore(store)) return hub.directory.backupCreate(hub.bearer, { store });
  return withBar(terminal, `rows of ${store}`, (onProgress) =>
    hub.call(store, "backup-create", {}, { timeoutMs: TIMEOUT_MS, onProgress }),
  );
}

export async function runVerify(terminal: Terminal, which: string, name?: string): Promise<Outcome> {
  const store = STORE_NAMES.find((known) => known === which);
  const report = store === undefined ? await verifyHere(terminal, which) : await verifyThere(terminal, store, name);
  return { data: report, text: reportText(report), exit: report.ok ? EXIT.done : EXIT.no };
}

function verifyHere(terminal: Terminal, file: string): Promise<BackupReport> {
  return withBar(terminal, `bytes of ${basename(file)}`, async (onProgress) => {
    const checked = await checkBackup(file, { onProgress }).catch((error: unknown) => notRead(file, error));
    return checked.report;
  });
}

async function verifyThere(terminal: Terminal, store: StoreName, given?: string): Promise<BackupReport> {
  const { withHub } = await import("../client/session.ts");
  return withHub(terminal.env, async (hub) => {
    const name = given ?? (await newestOf(hub, store));
    if (isHubStore(store)) return hub.directory.backupVerify(hub.bearer, { store, name });
    return withBar(terminal, `bytes of ${name}`, (onProgress) =>
      hub.call(store, "backup-verify", { name }, { timeoutMs: TIMEOUT_MS, onProgress }),
    );
  });
}

async function newestOf(hub: SignedInHub, store: StoreName): Promise<string> {
  const [owner] = owners([store]);
  const all = owner === undefined ? [] : await ask(hub, owner);
  const newest = all.find((row) => row.store === store);
  if (newest !== undefined) return newest.name;
  const message = `Looking up a backup of ${store} failed: there is none yet; "rastro backup create ${store}" makes one.`;
  throw new RastroError({ code: "unknown_backup", message, given: store });
}

async function withBar<T>(
  terminal: Terminal,
  what: string,
  work: (onProgress: (done: number, of: number) => void) => Promise<T>,
): Promise<T> {
  const bar = await startProgress(terminal.stderr, what, 0);
  try {
    return await work((done, of) => bar.update(done, "", of));
  } finally {
    bar.stop();
  }
}

function reportText(report: BackupReport): string {
  const { header } = report;
  const facts = list([
    ["backup", report.name],
    ["store", header?.store ?? null],
    ["made", header === null ? null : `${localTime(header.madeAt)} by ${header.app}`],
    ["rows", report.rows],
    ["records", header?.size ?? null],
    ["root", header?.root ?? null],
    ["sha256", report.sha256],
    ["took", `${report.tookMs} ms`],
  ]);
  if (report.ok) return `${facts}\n\nThe backup is whole.`;
  const faults = report.faults.map(({ offset, frame, what }) => `  byte ${offset} (frame ${frame}): ${what}`);
  return [facts, "", "The backup is DAMAGED:", ...faults].join("\n");
}

function isBook(store: StoreName): boolean {
  return store === "production" || store === "audit";
}

function notRead(file: string, error: unknown): never {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof RastroError || code === undefined) throw error;
  const message = `Reading the backup ${file} failed (${code}); expected a store (${STORE_NAMES.join(", ")}) or the path of a backup.`;
  throw new RastroError({ code: "unknown_backup", message, given: file }, { cause: error });
}
