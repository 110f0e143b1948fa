import { randomBytes } from "node:crypto";
import type { BookName } from "../../../lib/contracts/names.ts";
import type { QuorumRule } from "../../../lib/contracts/quorum.ts";
import type { VerifierKey } from "../../../lib/ledger/signed-note.ts";
import type { CheckpointPublisher } from "../../../lib/messaging/checkpoint-publisher.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import { createRequester } from "../../../lib/messaging/request-client.ts";
import { type After, after as systemAfter } from "../../../lib/messaging/timing.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { LogKeys } from "../../../lib/runtime/log-keys.ts";
import { replaceFile } from "../../../lib/runtime/new-file.ts";
import type { Book } from "../../../lib/storage/book/book.ts";
import type { Checkpoints } from "../../../lib/storage/book/checkpoints.ts";
import type { KeysOfPeople } from "../../../lib/storage/people/sealed-reason.ts";
import type { ServiceSelf } from "../../../lib/storage/book/service-event.ts";
import type { Store } from "../../../lib/storage/store/store.ts";
import type { BookOwnAct } from "../own-acts.ts";
import { createAdmissions } from "./admissions.ts";
import { takeInAlarms } from "./alarm-intake.ts";
import { auditLog } from "./audit-log.ts";
import { createBehindBooks } from "./behind.ts";
import { openCarriers } from "./carriers.ts";
import { compareWithWitnesses } from "./compare.ts";
import { openGate } from "./gate.ts";
import { productionLog } from "./production-log.ts";
import { followToldTopics } from "./told-topics.ts";
import { createTroubleLog, type TroubleLog } from "./trouble-log.ts";
import { type TrustPolicy, trustPolicyOf } from "./trust-policy.ts";
import { openWitnessView } from "./view.ts";
import { createWitnessHandlers, type WitnessHandlers } from "./witness-handlers.ts";
import { type Behind, provenSize, type WitnessedLog } from "./witnessed-log.ts";
import { createWitnesses, type Witnesses } from "./witnesses.ts";

/** How a plant has its books witnessed. */
export type WitnessingSettings = {
  rule: QuorumRule;
  /** Whether machines' agents are let in by their own offer. */
  automatic: boolean;
  /** Fingerprint of the computer that this runs on; null where it has no id. */
  hubHost: string | null;
  /** How long a quorum may be missing before it is a trouble, ms. */
  quorumMs: number;
  /** How long a witness may take to answer, ms. */
  answerMs: number;
  /** Where the trust policy is written down; null for nowhere. */
  policyFile: string | null;
};

export type WitnessingOptions = WitnessingSettings & {
  link: Link;
  store: Store;
  book: Book;
  checkpoints: Checkpoints;
  logKeys: LogKeys;
  /** The keys by which production's log is known now. */
  keysOfProduction: () => Promise<readonly VerifierKey[]>;
  personKeys: KeysOfPeople;
  tell: BookOwnAct;
  self: ServiceSelf;
  newId: () => string;
  log: Logger;
  after?: After;
};

export type Witnessing = {
  handlers: WitnessHandlers;
  witnesses: Witnesses;
  troubles: TroubleLog;
  /** Begins to have checkpoints cosigned. */
  start(publisher: CheckpointPublisher): void;
  close(): Promise<void>;
};

/**
 * Opens the log's side of witnesses. When it resolves, the audit book has been compared with every witness in reach, and
 * takes no records where one of them has seen more.
 */
export async function openWitnessing(o: WitnessingOptions): Promise<Witnessing> {
  const { store, book, link, log, self, newId } = o;
  const after = o.after ?? systemAfter;
  const teller = { self, newId };
  const view = await openWitnessView({ store, book });
  const accepted = (name: BookName) => Math.max(0, ...Object.values(view.losses(name)));
  const gate = await openGate({ store, book, accepted: accepted("audit") });
  const troubles = createTroubleLog({ view, tell: o.tell, teller, log });
  const isBooked = (id: string) => book.find(id) !== undefined;
  const admissions = createAdmissions({ ...o, view, teller, isBooked });
  const told = await followToldTopics({ link, after });
  const carriers = await openCarriers({ link, newId, after, timeoutMs: o.answerMs });

  const audit = auditLog({ ...o, keys: o.logKeys.known, gate, after });
  const session = `witnesses-${newId().slice(-12)}`;
  const ask = createRequester({ link, user: self.name, session, newId, now: self.now });
  const books = createBehindBooks({ ...o, logs: () => logs, accepted, isBooked, troubles, teller });
  const readKeys = o.keysOfProduction;
  const production = await productionLog({
    store,
    ask,
    readKeys,
    accepted: () => accepted("production"),
    onBehind: books.fall,
    log,
  });
  const logs: readonly WitnessedLog[] = [audit, production];
  const random = randomBytes;
  const parts = { logs, view, admissions, carriers, troubles, books, store };
  const witnesses = createWitnesses({ ...parts, quorumMs: o.quorumMs, now: self.now, after, random, log });

  let written = "";
  const policy = (): TrustPolicy =>
    trustPolicyOf(
      admissions.quorum(),
      logs.flatMap((log) => log.keys()),
    );

  /** Where it has changed: with a membership, or a log's key. */
  async function writePolicy(): Promise<void> {
    const { text, sha256 } = policy();
    if (o.policyFile === null || sha256 === written) return;
    written = sha256;
    try {
      await replaceFile(o.policyFile, text, 0o644);
      log.info({ file: o.policyFile, sha256 }, "the trust policy is written down: keep a copy elsewhere");
    } catch (error) {
      log.error({ err: error }, "the trust policy could not be written down");
    }
  }

  // A damaged book takes nothing in anyway.
  if (book.damage === null) await books.fall(...gate.behind(), ...(await seenMore()));
  await writePolicy();
  view.onChange(() => void admissions.welcome().then(writePolicy));

  /** Who knows of more records of the audit book than it has: itself, the hub, witnesses. */
  async function seenMore(): Promise<Behind[]> {
    const { size } = book.logHead();
    const signed = [
      { by: "its own last checkpoint", note: o.checkpoints.latest()?.note ?? null },
      { by: "the hub's retained checkpoint", note: told.checkpoint("audit") },
    ].flatMap(({ by, note }): Behind[] => {
      const known = provenSize(note, o.logKeys.known());
      return known > size ? [{ book: "audit", size: known, by }] : [];
    });
    const { asked: members } = admissions.quorum();
    const inReach = members.filter(({ name, url }) => url !== null || told.isOnline(name));
    const asked = inReach.map((member) => ({
      member,
      carry: member.url === null ? carriers.overMqtt(member.name, "audit") : carriers.overHttp(member.url),
      progress: witnesses.progress(member, "audit"),
    }));
    return [...signed, ...(await compareWithWitnesses({ size, logKeys: o.logKeys, witnesses: asked, after }))];
  }

  return {
    witnesses,
    troubles,
    handlers: createWitnessHandlers({
      witnesses,
      admissions,
      policy,
      personKeys: o.personKeys,
      acceptLoss: books.accept,
    }),
    start(publisher) {
      audit.publishedBy(publisher);
      for (const one of logs) one.onNew(() => void writePolicy());
      told.onCheckpoint((name, note) => void (name === "production" && production.told(note)));
      told.onOnline((machine) => witnesses.isBack(machine));
      const retained = told.checkpoint("production");
      if (retained !== null) void production.told(retained);
      const keysOf = (name: BookName) => logs.find((log) => log.book === name)?.keys() ?? [];
      takeInAlarms({ link, keysOf, onClaim: witnesses.takeClaim, log }).catch((error: unknown) =>
        log.error({ err: error }, "the alarms of witnesses cannot be followed"),
      );
      witnesses.start();
      void admissions.welcome().then(writePolicy);
    },
    async close() {
      await witnesses.close();
      await troubles.settle();
    },
  };
}
