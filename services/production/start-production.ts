import type { EventDraft } from "../../lib/contracts/events.ts";
import type { Link } from "../../lib/messaging/link.ts";
import { publishCheckpoints } from "../../lib/messaging/checkpoint-publisher.ts";
import { receiveEvents } from "../../lib/messaging/event-receiver.ts";
import { createOutboxSender } from "../../lib/messaging/outbox-sender.ts";
import { keysOf, nameOf, type Principals, whenErased } from "../../lib/messaging/principals.ts";
import { type Handlers, serve } from "../../lib/messaging/request-server.ts";
import type { Check } from "../../lib/runtime/health.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { LogKeys } from "../../lib/runtime/log-keys.ts";
import { recordRefusals, type RefusedMessage } from "../../lib/runtime/refusal-event.ts";
import type { Backups } from "../../lib/storage/backup/backups.ts";
import { backedUpFirst, backupHandlers } from "../../lib/storage/backup/handlers.ts";
import { lastRestoration, recordRestored } from "../../lib/storage/backup/restored-book.ts";
import { type BackupOptions, createServiceBackups } from "../../lib/storage/backup/service-backups.ts";
import { recordMigrated } from "../../lib/storage/migration/record-migrated.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { bookQueries } from "../../lib/storage/book/book-queries.ts";
import { Checkpoints } from "../../lib/storage/book/checkpoints.ts";
import { createIntake } from "../../lib/storage/intake/intake.ts";
import { logQueries } from "../../lib/storage/book/log-queries.ts";
import { Outbox } from "../../lib/storage/outbox/outbox.ts";
import type { Promoted } from "../../lib/storage/copy/promoted-book.ts";
import { pruneRegularly } from "../../lib/storage/prune-regularly.ts";
import { personRecordsHandler } from "../../lib/storage/people/person-records.ts";
import { quarantineQueries } from "../../lib/storage/quarantine/quarantine-queries.ts";
import { createReasonReader, type KeptKeysOfPeople } from "../../lib/storage/people/sealed-reason.ts";
import type { ServiceSelf } from "../../lib/storage/book/service-event.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { takeAway } from "../../lib/storage/export/take-away.ts";
import { createVerifications, type Verifications } from "../../lib/storage/verification/verifications.ts";
import { createWords } from "../../lib/storage/export/words.ts";
import { createChanges } from "./changes.ts";
import { judgeMachineEvent } from "./machine-entries.ts";
import { noteRefusals } from "./note-refusals.ts";
import { createReads } from "./reads.ts";
import { bringViewsUpToDate } from "./rebuild.ts";
import { followRecords } from "./record.ts";
import { type WitnessedHandlers, witnessedHandlers } from "./witnessed.ts";
import { takeUp } from "./take-up.ts";
import { openViews } from "./views.ts";

/** How long what audit is told may wait for more of it: alone, an entry costs the hub and audit several times as much. */
const GATHER_MS = 30;

export type ProductionOptions = {
  store: Store;
  /** Why the store is a repaired copy of one that could not be opened. */
  repaired?: string | null;
  link: Link;
  principals: Principals;
  personKeys: KeptKeysOfPeople;
  self: ServiceSelf;
  /** As `self.sign`, which need not answer at once: for what comes by the thousand. */
  sign: (bytes: Uint8Array) => string | Promise<string>;
  /** Name the book for good and sign its checkpoints. */
  logKeys: LogKeys;
  headNote?: string;
  backups: BackupOptions;
  /** Word of a standby's copy that was put in the book's place. */
  promoted?: Promoted;
  newId: () => string;
  random: (bytes: number) => Buffer;
  log: Logger;
};

export type Production = {
  book: Book;
  checks: Record<string, Check>;
  /** What is told to audit, on its way. */
  outbox: Outbox;
  backups: Backups;
  verifications: Verifications;
  /** Finishes what it has begun. Store and link stay the caller's to close. */
  close(): Promise<void>;
};

/**
 * Opens the book of production and puts it on the hub: answers requests, takes in what machines send, passes on to
 * audit. Resolves when all of it works. With a damaged book it answers readers and takes in nothing, so that senders
 * keep what they have.
 */
export async function startProduction(o: ProductionOptions): Promise<Production> {
  const book = await openBook(o);
  const outbox = await openOutbox(o);
  let restoration = lastRestoration(o.store);
  followRecords({ book, outbox, restoration: () => restoration });
  if (book.damage === null) await updateViews(o, book);

  const tell = (draft: EventDraft) => o.store.write((tx) => void outbox.stage(tx, draft));
  const refusals = recordRefusals({
    names: o.principals,
    service: o.self,
    newId: o.newId,
    tell,
    onFault: (error) => o.log.error({ err: error }, "a refusal could not be put on record"),
  });
  const { onRefused } = refusals;
  const backups = backupsOf(o, tell);
  const verifications = createVerifications({ ...o, book, keyOf: keysOf(o.principals), tell });
  await o.principals.whenLoaded();
  whenErased(o.principals, (sub) => o.personKeys.forget(sub));
  await recordRestored({ ...o, book });
  if (o.promoted !== undefined) await takeUp({ ...o, book, outbox, promoted: o.promoted });
  restoration = lastRestoration(o.store);
  await recordMigrated({ ...o, book });
  const sender = createOutboxSender({
    link: o.link,
    outbox,
    owner: { kind: "services", name: o.self.name },
    log: o.log,
    now: o.self.now,
    gatherMs: GATHER_MS,
  });
  sender.start();
  const checkpoints = await Checkpoints.open({
    store: o.store,
    head: () => book.logHead(),
    signer: o.logKeys,
    isHeld: () => book.isHeld,
    now: o.self.now,
  });
  const onFault = (error: unknown) => o.log.error({ err: error }, "pruning failed");
  const stopPruning = [outbox, checkpoints].map((kept) => pruneRegularly({ kept, onFault }));
  const publisher =
    book.damage === null
      ? publishCheckpoints({ ...o, book: "production", checkpoints, rotations: o.logKeys.rotations, now: o.self.now })
      : null;
  const receiver = book.damage === null ? await takeInEvents(o, book, onRefused) : null;
  const handlers = noteRefusals(
    "production",
    {
      ...handlersOf(o, book, checkpoints, tell, backups),
      "book-verify": ({ from }, caller, onProgress) =>
        verifications.run({ why: "request", actor: { sub: caller.sub, auth: caller.auth } }, { from, onProgress }),
      ...witnessedHandlers({ book, checkpoints, publisher, log: o.log }),
    },
    onRefused,
  );
  await serve({
    link: o.link,
    service: "production",
    principals: o.principals,
    handlers,
    onRefused,
    now: o.self.now,
    log: o.log,
  });

  return {
    book,
    outbox,
    backups,
    verifications,
    checks: {
      hub: () => o.link.connected || "not connected to the hub",
      book: () => book.whyShut() === null || `the book takes no records: ${book.whyShut()}`,
      verification: () => verifications.last() ?? true,
      backup: () => backups.fault() ?? true,
    },
    async close() {
      for (const stop of stopPruning) stop();
      await publisher?.stop();
      await receiver?.close();
      await refusals.close();
      await sender.stop();
      await book.close();
    },
  };
}

async function openBook({ store, repaired = null, logKeys, headNote, log }: ProductionOptions): Promise<Book> {
  const { origin } = logKeys;
  const note = headNote === undefined ? {} : { headNote };
  const book = await Book.open({ store, name: "production", origin, signer: logKeys, repaired, ...note });
  if (book.damage !== null)
    log.error({ damage: book.damage }, "the book is damaged: it is read and verified, and takes no records");
  return book;
}

function openOutbox({ store, self, sign, random }: ProductionOptions): Promise<Outbox> {
  const { name, app, now } = self;
  return Outbox.open({ store, book: "audit", name, app, sign, random, now });
}

async function updateViews({ store, log }: ProductionOptions, book: Book): Promise<void> {
  const folded = await bringViewsUpToDate({ store, book });
  if (folded > 0) log.info({ folded }, "views brought up to the book");
}

type Tell = (draft: EventDraft) => Promise<void>;

function takeInEvents(o: ProductionOptions, book: Book, onRefused: (refused: RefusedMessage) => void) {
  const { store, principals, self, newId, link, log } = o;
  const intake = createIntake({
    store,
    book,
    principalOf: (name) => principals.byName(name),
    senders: () => principals.all(),
    self,
    newId,
    decide: (_tx, event, arrival) => ({ added: judgeMachineEvent(principals, event, arrival) }),
  });
  return receiveEvents({ link, book: "production", ...intake, onRefused, log });
}

function backupsOf({ store, logKeys, self, newId, log, backups: options }: ProductionOptions, tell: Tell): Backups {
  const { origin } = logKeys;
  const onFault = (error: unknown) => log.error({ err: error }, "a backup failed, or could not be put on record");
  return createServiceBackups({ name: "production", store, origin, options, self, newId, tell, onFault });
}

function handlersOf(
  o: ProductionOptions,
  book: Book,
  checkpoints: Checkpoints,
  tell: Tell,
  backups: Backups,
): Omit<Handlers<"production">, keyof WitnessedHandlers> {
  const { store, principals, personKeys, self, sign, newId } = o;
  const keys = backedUpFirst(o.logKeys, backups, "production");
  const views = openViews(store);
  const keyOf = keysOf(principals);
  const readReason = createReasonReader(personKeys);
  const words = createWords({ nameOf: (sub) => nameOf(principals, sub), readReason });
  const onUntold = (error: unknown) => o.log.error({ err: error }, "an export could not be put on record");
  return {
    ...bookQueries(book, { keyOf }),
    ...backupHandlers(backups, "production"),
    ...quarantineQueries({ store, book }),
    ...personRecordsHandler({ store, book }),
    ...logQueries({ book, checkpoints, keys, personKeys, tell, newId, now: self.now, tz: self.tz }),
    ...takeAway({ store, book, names: principals, words, self, tell, onUntold, newId }),
    ...createReads({ views, book, names: principals, readReason }),
    ...createChanges({ store, book, newId, names: principals, personKeys, views, self, sign }),
  };
}
