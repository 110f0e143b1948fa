import { publishCheckpoints } from "../../lib/messaging/checkpoint-publisher.ts";
import { receiveEvents } from "../../lib/messaging/event-receiver.ts";
import type { VerifierKey } from "../../lib/ledger/signed-note.ts";
import type { Link } from "../../lib/messaging/link.ts";
import { keysOf, nameOf, type Principals, whenErased } from "../../lib/messaging/principals.ts";
import { type Handlers, serve } from "../../lib/messaging/request-server.ts";
import type { Check } from "../../lib/runtime/health.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { LogKeys } from "../../lib/runtime/log-keys.ts";
import { recordRefusals, type RefusedMessage } from "../../lib/runtime/refusal-event.ts";
import type { Backups } from "../../lib/storage/backup/backups.ts";
import { backedUpFirst, backupHandlers } from "../../lib/storage/backup/handlers.ts";
import { recordRestored } from "../../lib/storage/backup/restored-book.ts";
import { type BackupOptions, createServiceBackups } from "../../lib/storage/backup/service-backups.ts";
import { recordMigrated } from "../../lib/storage/migration/record-migrated.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { bookQueries } from "../../lib/storage/book/book-queries.ts";
import { Checkpoints } from "../../lib/storage/book/checkpoints.ts";
import { createIntake } from "../../lib/storage/intake/intake.ts";
import { type Promoted, recordPromoted } from "../../lib/storage/copy/promoted-book.ts";
import { createPersonalReader } from "../../lib/storage/people/personal.ts";
import { personRecordsHandler } from "../../lib/storage/people/person-records.ts";
import { quarantineQueries } from "../../lib/storage/quarantine/quarantine-queries.ts";
import { logQueries } from "../../lib/storage/book/log-queries.ts";
import { pruneRegularly } from "../../lib/storage/prune-regularly.ts";
import { createReasonReader, type KeptKeysOfPeople } from "../../lib/storage/people/sealed-reason.ts";
import type { ServiceSelf } from "../../lib/storage/book/service-event.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { takeAway } from "../../lib/storage/export/take-away.ts";
import { createVerifications, type Verifications } from "../../lib/storage/verification/verifications.ts";
import { anchorCheckpoints } from "./anchors.ts";
import { createWords } from "../../lib/storage/export/words.ts";
import { judgeTelling } from "./append.ts";
import { type BookOwnAct, createOwnActs } from "./own-acts.ts";
import { createShowHandlers } from "./show.ts";
import type { WitnessHandlers } from "./witnesses/witness-handlers.ts";
import { openWitnessing, type Witnessing, type WitnessingSettings } from "./witnesses/witnessing.ts";

export type AuditOptions = {
  store: Store;
  /** Why the store is a repaired copy of one that could not be opened. */
  repaired?: string | null;
  link: Link;
  principals: Principals;
  personKeys: KeptKeysOfPeople;
  self: ServiceSelf;
  /** Name the book for good and sign its checkpoints. */
  logKeys: LogKeys;
  /** The keys by which production's log is known now. */
  keysOfProduction: () => Promise<readonly VerifierKey[]>;
  headNote?: string;
  backups: BackupOptions;
  witnessing: WitnessingSettings;
  /** Word of a standby's copy that was put in the book's place. */
  promoted?: Promoted;
  newId: () => string;
  log: Logger;
};

export type Audit = {
  book: Book;
  verifications: Verifications;
  backups: Backups;
  witnessing: Pick<Witnessing, "witnesses" | "troubles">;
  checks: Record<string, Check>;
  /** Finishes what it has begun. Store and link stay the caller's to close. */
  close(): Promise<void>;
};

/**
 * Opens the book of everything and puts it on the hub. Resolves when all of it works. A damaged book is shown and
 * verified and takes nothing in: senders keep what they have, and the readiness says why.
 */
export async function startAudit(o: AuditOptions): Promise<Audit> {
  const { link, principals, self, log } = o;
  const book = await openBook(o);
  const roleOf = (sub: string) => principals.bySub(sub)?.profile ?? null;
  const bookOwnAct = createOwnActs({ store: o.store, book, self, roleOf });
  const verifications = verificationsOf(o, book, bookOwnAct);
  const refusals = recordRefusals({
    names: principals,
    service: self,
    newId: o.newId,
    tell: bookOwnAct,
    onFault: (error) => log.error({ err: error }, "a refusal could not be put on record"),
  });
  const { onRefused } = refusals;

  const backups = backupsOf(o, bookOwnAct);
  await principals.whenLoaded();
  whenErased(principals, (sub) => o.personKeys.forget(sub));
  const checkpoints = await Checkpoints.open({
    store: o.store,
    head: () => book.logHead(),
    signer: o.logKeys,
    isHeld: () => book.isHeld,
    now: self.now,
  });
  const stopPruning = pruneRegularly({
    kept: checkpoints,
    onFault: (error) => log.error({ err: error }, "pruning the checkpoints failed"),
  });
  // What a restore that was to be older knew to be lost is on record before anybody is asked, and no news then.
  const isOlder = [o.backups.restored?.older, isOlderCopy(o.promoted)].includes(true);
  if (isOlder) await recordPutBack(o, book);
  const witnessing = await openWitnessing({ ...o, ...o.witnessing, book, checkpoints, tell: bookOwnAct });
  if (!isOlder) await recordPutBack(o, book);
  await recordMigrated({ ...o, book });
  const publisher =
    book.damage === null
      ? publishCheckpoints({ link, book: "audit", checkpoints, rotations: o.logKeys.rotations, log, now: self.now })
      : null;
  if (publisher !== null) witnessing.start(publisher);
  const receiver = book.damage === null ? await takeInEvents(o, book, roleOf, onRefused) : null;
  const handlers = {
    ...handlersOf(o, { book, checkpoints, verifications, backups, bookOwnAct }),
    ...witnessing.handlers,
  };
  await serve({ link, service: "audit", principals, handlers, onRefused, now: self.now, log });
  if (book.damage === null)
    await anchorCheckpoints({ ...o, book: "production", keysOfLog: o.keysOfProduction, bookOwnAct });

  return {
    book,
    verifications,
    backups,
    witnessing,
    checks: {
      hub: () => link.connected || "not connected to the hub",
      book: () => book.whyShut() === null || `the book takes no records: ${book.whyShut()}`,
      verification: () => verifications.last() ?? true,
      backup: () => backups.fault() ?? true,
    },
    async close() {
      stopPruning();
      await witnessing.close();
      await publisher?.stop();
      await receiver?.close();
      await refusals.close();
      await book.close();
    },
  };
}

async function openBook({ store, repaired = null, logKeys, headNote, log }: AuditOptions): Promise<Book> {
  const { origin } = logKeys;
  const note = headNote === undefined ? {} : { headNote };
  const book = await Book.open({ store, name: "audit", origin, signer: logKeys, repaired, ...note });
  if (book.damage !== null)
    log.error({ damage: book.damage }, "the book is damaged: it is shown and verified, and takes no records");
  return book;
}

function isOlderCopy(promoted: Promoted | undefined): boolean {
  const mark = promoted?.mark ?? null;
  return mark !== null && mark.known > mark.size;
}

/** What was put in the book's place since its last start, if anything was. */
async function recordPutBack(o: AuditOptions, book: Book): Promise<void> {
  await recordRestored({ ...o, book });
  if (o.promoted !== undefined) await recordPromoted({ ...o, book, promoted: o.promoted });
}

function backupsOf({ store, logKeys, self, newId, log, backups: options }: AuditOptions, tell: BookOwnAct): Backups {
  const { origin } = logKeys;
  const onFault = (error: unknown) => log.error({ err: error }, "a backup failed, or could not be put on record");
  return createServiceBackups({ name: "audit", store, origin, options, self, newId, tell, onFault });
}

function verificationsOf({ principals, self, newId, log }: AuditOptions, book: Book, tell: BookOwnAct): Verifications {
  return createVerifications({ book, keyOf: keysOf(principals), tell, self, newId, log });
}

function takeInEvents(
  { store, link, principals, self, newId, log }: AuditOptions,
  book: Book,
  roleOf: (sub: string) => string | null,
  onRefused: (refused: RefusedMessage) => void,
) {
  const intake = createIntake({
    store,
    book,
    principalOf: (name) => principals.byName(name),
    senders: () => principals.all(),
    self,
    newId,
    decide: (_tx, event, arrival) => ({ added: judgeTelling(roleOf, event, arrival) }),
  });
  return receiveEvents({ link, book: "audit", ...intake, onRefused, log });
}

function handlersOf(
  o: AuditOptions,
  parts: {
    book: Book;
    checkpoints: Checkpoints;
    verifications: Verifications;
    backups: Backups;
    bookOwnAct: BookOwnAct;
  },
): Omit<Handlers<"audit">, keyof WitnessHandlers> {
  const { book, verifications } = parts;
  const { personKeys, newId, logKeys, self } = o;
  const keys = backedUpFirst(logKeys, parts.backups, "audit");
  const queries = bookQueries(book, { keyOf: keysOf(o.principals) });
  const words = createWords({ nameOf: (sub) => nameOf(o.principals, sub), readReason: createReasonReader(personKeys) });
  const onUntold = (error: unknown) => o.log.error({ err: error }, "an export could not be put on record");
  return {
    ...queries,
    ...backupHandlers(parts.backups, "audit"),
    ...quarantineQueries({ store: o.store, book }),
    ...personRecordsHandler({ store: o.store, book }),
    ...logQueries({ ...parts, keys, personKeys, tell: parts.bookOwnAct, newId, now: self.now, tz: self.tz }),
    ...createShowHandlers({
      queries,
      words,
      readPersonal: createPersonalReader(personKeys),
      principals: () => o.principals.all(),
    }),
    ...takeAway({ store: o.store, book, names: o.principals, words, self, tell: parts.bookOwnAct, onUntold, newId }),
    "book-verify": ({ from }, caller, onProgress) =>
      verifications.run({ why: "request", actor: { sub: caller.sub, auth: caller.auth } }, { from, onProgress }),
  };
}
