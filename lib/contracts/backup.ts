import { z } from "zod";
import { Count, Instant, plainText, Sha256Hex } from "./names.ts";

/**
 * The stores of a plant that are backed up: two books, the register of machines, names and sessions, the keys of people
 * (apart from all others), and what the hub keeps for MQTT clients.
 */
export const STORE_NAMES = ["production", "audit", "fleet", "directory", "people-keys", "sessions"] as const;
export const StoreName = z.enum(STORE_NAMES);
export type StoreName = z.infer<typeof StoreName>;

/** The stores that the hub's own process keeps; the others are their services' own. */
export const HUB_STORES = ["directory", "people-keys", "sessions"] as const satisfies readonly StoreName[];

export type HubStore = (typeof HUB_STORES)[number];

export function isHubStore(store: StoreName): store is HubStore {
  return (HUB_STORES as readonly StoreName[]).includes(store);
}

/** Why a backup was made. */
export const BackupCause = z.enum([
  "schedule",
  "request",
  "before-restore",
  "before-prune",
  "before-migration",
  "before-key-rotation",
]);
export type BackupCause = z.infer<typeof BackupCause>;

/** The end of a backup's name. */
export const BACKUP_SUFFIX = ".rastro-backup";

/** A backup's name in the folder of its store: when it was made, and the suffix. */
export const BackupName = z
  .string()
  .regex(/^\d{8}T\d{9}Z\.rastro-backup$/, "a name such as 20261124T010000000Z.rastro-backup");

/** What a backup says of itself, first of all. */
export const BackupHeader = z.strictObject({
  v: z.literal(1),
  store: StoreName,
  plant: z.string().min(1).max(255),
  /** The log's origin, how many records it had and the root over them; null for a store that is no book. */
  origin: z.string().min(1).max(255).nullable(),
  size: Count.nullable(),
  root: Sha256Hex.nullable(),
  /** The newest checkpoint in the store, a C2SP signed note; null where there is none. */
  checkpoint: z.string().max(65_536).nullable(),
  madeAt: Instant,
  /** Software and version. */
  app: z.string().min(1).max(64),
  why: BackupCause,
  /** `m/format` of the store. */
  storeFormat: z.string().max(16),
  compression: z.literal("gzip"),
});
export type BackupHeader = z.infer<typeof BackupHeader>;

/** A backup in a list. */
export const BackupRow = z.object({
  store: StoreName,
  name: BackupName,
  bytes: Count,
  /** Null where not even the beginning can be read. */
  header: BackupHeader.nullable(),
  /** What the last verification found, a sentence; null when it found nothing or there was none since the start. */
  fault: z.string().nullable(),
});
export type BackupRow = z.infer<typeof BackupRow>;

/** A place of a backup that is damaged. `frame` counts from 0; `offset` is where the frame begins, in bytes. */
export const BackupFault = z.object({ offset: Count, frame: Count, what: z.string() });
export type BackupFault = z.infer<typeof BackupFault>;

/** What reading a backup through gave. At most 100 faults are named. */
export const BackupReport = z.object({
  ok: z.boolean(),
  name: z.string(),
  header: BackupHeader.nullable(),
  bytes: Count,
  rows: Count,
  /** Of a book: records whose leaves were recomputed. */
  records: Count,
  /** Over everything before the end, as it was read. */
  sha256: Sha256Hex,
  faults: z.array(BackupFault),
  tookMs: Count,
});
export type BackupReport = z.infer<typeof BackupReport>;

/**
 * What a restore leaves for the service to put on record at its next start. `from` is the book that was there as far as
 * it is known, `to` the one of the backup; both are null for a store that is no book, a root where only a size is known.
 */
export const RestoredMark = z.strictObject({
  v: z.literal(1),
  /** `cut-off` until everything is in place: no service opens a store under such a mark. */
  state: z.enum(["cut-off", "done"]),
  /** Id of the event that tells of it. */
  event: z.string(),
  store: StoreName,
  at: Instant,
  /** Name of the file that it was restored from. */
  backup: z.string().max(255),
  madeAt: Instant,
  from: z.strictObject({ size: Count, root: Sha256Hex.nullable() }).nullable(),
  to: z.strictObject({ size: Count, root: Sha256Hex }).nullable(),
  /** Whether the backup is older than what was known of the book. */
  older: z.boolean(),
  /** The login of whoever restored on the computer, as the system knows it. */
  by: z.string().max(64),
  reason: plainText(500).nullable(),
  /** The folder in which what was there before lies now; null when nothing was there. */
  aside: z.string().nullable(),
});
export type RestoredMark = z.infer<typeof RestoredMark>;
