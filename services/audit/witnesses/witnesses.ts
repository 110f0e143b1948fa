import type { BookName } from "../../../lib/contracts/names.ts";
import type { BookWitnessed, WitnessInfo } from "../../../lib/contracts/witness-members.ts";
import { formatVerifierKey } from "../../../lib/ledger/signed-note.ts";
import type { After } from "../../../lib/messaging/timing.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { Store } from "../../../lib/storage/store.ts";
import type { Admissions } from "./admissions.ts";
import type { Claim } from "./alarm-intake.ts";
import { type Asker, startAsker } from "./asker.ts";
import type { BehindBooks } from "./behind.ts";
import type { Carriers } from "./carriers.ts";
import type { Outcome } from "./exchange.ts";
import type { WitnessRow } from "./membership.ts";
import { openProgress, type Progress } from "./progress.ts";
import { createQuorumWatch, type QuorumWatch } from "./quorum-watch.ts";
import type { Member } from "./standing.ts";
import type { TroubleLog } from "./trouble-log.ts";
import type { Trouble } from "./troubles.ts";
import type { WitnessView } from "./view.ts";
import { asSigned, type WitnessedLog } from "./witnessed-log.ts";

/** How often it is looked whether a quorum has been missing for too long, ms. */
const LOOK_MS = 1000;

export type WitnessesOptions = {
  logs: readonly WitnessedLog[];
  view: WitnessView;
  admissions: Admissions;
  carriers: Carriers;
  troubles: TroubleLog;
  store: Store;
  /** How long a quorum may be missing before it is a trouble, ms. */
  quorumMs: number;
  books: Pick<BehindBooks, "fall" | "look">;
  now: () => number;
  after: After;
  random: (bytes: number) => Buffer;
  log: Logger;
};

/** The log's side of witnesses: has every checkpoint cosigned by all of them, and says when that fails. */
export interface Witnesses {
  list(): WitnessInfo[];
  books(): BookWitnessed[];
  /** What a member says of a log, or that it takes it back. */
  takeClaim(machine: string, book: BookName, claim: Claim | null): void;
  /** A machine is there again. */
  isBack(machine: string): void;
  progress(member: Member, book: BookName): Progress;
  /** Begins asking, and goes on until {@link Witnesses.close}. */
  start(): void;
  close(): Promise<void>;
}

type Asked = { member: Member; log: WitnessedLog; asker: Asker };

export function createWitnesses(o: WitnessesOptions): Witnesses {
  const askers = new Map<string, Asked>();
  const progresses = new Map<string, { keyId: number; progress: Progress }>();
  const watches = new Map(o.logs.map((log) => [log.book, watchOf(log)]));
  /** Who says of a book that it contradicts itself. */
  const accusers = new Set<string>();
  let stopLooking = () => {};
  let running = false;

  function progress(member: Pick<Member, "name" | "key">, book: BookName): Progress {
    const place = `${book}/${member.name}`;
    const { keyId } = member.key;
    const known = progresses.get(place);
    if (known?.keyId === keyId) return known.progress;
    const onFault = (error: unknown) => o.log.error({ err: error }, "how far a witness has come could not be kept");
    const opened = openProgress({ store: o.store, book, witness: member.name, keyId, onFault });
    progresses.set(place, { keyId, progress: opened });
    return opened;
  }

  function watchOf(log: WitnessedLog): QuorumWatch {
    return createQuorumWatch({
      quorum: () => o.admissions.quorum(),
      latest: () => log.latest(),
      progress: (name) => progresses.get(`${log.book}/${name}`)?.progress ?? null,
      now: o.now,
    });
  }

  /** Askers for those who are let in now, by the keys and addresses of now. */
  function follow(): void {
    if (!running) return;
    const { members } = o.admissions.quorum();
    const wanted = new Map(members.flatMap((member) => o.logs.map((log) => [placeOf(member, log), { member, log }])));
    for (const [place, { asker, member, log }] of askers) {
      if (wanted.has(place)) continue;
      askers.delete(place);
      void asker.stop();
      if (!members.some(({ name }) => name === member.name)) forget(member, log);
    }
    for (const [place, { member, log }] of wanted) if (!askers.has(place)) askers.set(place, begin(member, log));
    lookAtQuorums();
  }

  function forget({ name }: Member, { book }: WitnessedLog): void {
    for (const type of ["witness.refused", "witness.conflict"] as const) {
      o.troubles.end({ type, book, witness: name }, `The witness ${name} was removed.`);
    }
  }

  function begin(member: Member, log: WitnessedLog): Asked {
    const carry = member.url === null ? o.carriers.overMqtt(member.name, log.book) : o.carriers.overHttp(member.url);
    const asker = startAsker({
      log,
      member,
      carry,
      progress: progress(member, log.book),
      onOutcome: (outcome) => judge(member, log, outcome),
      now: o.now,
      after: o.after,
      random: o.random,
      logger: o.log,
    });
    return { member, log, asker };
  }

  async function judge(member: Member, log: WitnessedLog, outcome: Outcome): Promise<void> {
    const { book } = log;
    if (outcome.kind === "cosigned") {
      await log.keepCosigned(outcome.checkpoint.head.size, outcome.lines);
      const why = `The witness ${member.name} cosigns the book ${book} again.`;
      o.troubles.end({ type: "witness.refused", book, witness: member.name }, why);
      // An alarm of its own stands until somebody at the witness takes it back.
      if (!accusers.has(`${book}/${member.name}`)) {
        o.troubles.end({ type: "witness.conflict", book, witness: member.name }, why);
      }
      watches.get(book)?.look(outcome.checkpoint.head.size);
      lookAtQuorum(log);
    } else if (outcome.kind === "ahead") await o.books.fall({ book, size: outcome.size, by: member.name });
    else if (outcome.kind === "conflict") contradicted(member, log, outcome);
    else if (outcome.kind === "refused") {
      const message = `The witness ${member.name} refuses checkpoints of the book ${book} with ${outcome.status}: ${outcome.why}.`;
      o.troubles.begin({ type: "witness.refused", book, witness: member.name, message, notes: null });
    }
  }

  function contradicted(
    member: Member,
    { book }: WitnessedLog,
    { checkpoint, old, why }: Outcome & { kind: "conflict" },
  ): void {
    const { name } = member;
    const message = `The witness ${name} has cosigned ${old} records of the book ${book}, and the checkpoint over ${checkpoint.head.size} does not go on from there: ${why}. Keep a copy of the data folder: nobody but who holds the log's key can have made both.`;
    // Where its state is newer than what is kept here, the witness's own alarm brings the other note.
    const notes = { held: progress(member, book).note(), offered: asSigned(checkpoint) };
    o.troubles.begin({ type: "witness.conflict", book, witness: name, message, notes });
  }

  function takeClaim(machine: string, book: BookName, claim: Claim | null): void {
    if (claim === null) accusers.delete(`${book}/${machine}`);
    else accusers.add(`${book}/${machine}`);
    const isMember = o.admissions.quorum().members.some(({ name }) => name === machine);
    if (claim === null) {
      o.troubles.end(
        { type: "witness.conflict", book, witness: machine },
        `The witness ${machine} has taken its alarm back.`,
      );
      return;
    }
    // Anybody may prove a fork by two signatures of the log; only who was let in is believed without.
    if (!isMember && !claim.isProven) return;
    if (claim.kind === "rolled-back") void claimedBehind(claim);
    else o.troubles.begin(conflictOf(claim));
  }

  async function claimedBehind({ machine, book, held }: Claim): Promise<void> {
    const log = o.logs.find((log) => log.book === book);
    if (log === undefined || held.checkpoint === null) return;
    const { size } = held.checkpoint.head;
    try {
      if ((await log.size()) < size) await o.books.fall({ book, size, by: machine });
    } catch (error) {
      o.log.warn({ err: error, machine, book }, "what a witness says of a lost tail could not be checked");
    }
  }

  function lookAtQuorums(): void {
    for (const log of o.logs) lookAtQuorum(log);
  }

  function lookAtQuorum(log: WitnessedLog): void {
    const watch = watches.get(log.book);
    if (watch === undefined) return;
    watch.look();
    const since = watch.unmetSince();
    const key = { type: "witness.quorum-degraded" as const, book: log.book, witness: null };
    if (since === null) o.troubles.end(key, `Checkpoints of the book ${log.book} are cosigned by a quorum again.`);
    else if (o.now() - since >= o.quorumMs) o.troubles.begin({ ...key, message: degradedMessage(log), notes: null });
  }

  function degradedMessage({ book }: WitnessedLog): string {
    const { counting, threshold } = o.admissions.quorum();
    return `No checkpoint of the book ${book} has been cosigned by a quorum of ${threshold} for ${Math.round(o.quorumMs / 1000)} s; ${counting.length} witnesses count. See which are away: rastro witness list.`;
  }

  function lookRegularly(): void {
    stopLooking = o.after(LOOK_MS, () => {
      lookAtQuorums();
      o.books.look().catch((error: unknown) => o.log.warn({ err: error }, "a book that was behind could not be told"));
      lookRegularly();
    });
  }

  for (const log of o.logs) {
    log.onNew(() => {
      for (const asked of askers.values()) if (asked.log === log) asked.asker.wake();
      lookAtQuorum(log);
    });
  }
  o.view.onChange(follow);

  return {
    list: () => infoOf(o, progress),
    books: () =>
      o.logs.map((log) => ({
        book: log.book,
        size: log.latest()?.head.size ?? null,
        needed: o.admissions.quorum().threshold,
        cosigned: watches.get(log.book)?.cosigned() ?? 0,
        troubles: o.troubles.open().flatMap((trouble) => (trouble.book === log.book ? [trouble.message] : [])),
      })),
    takeClaim,
    isBack(machine) {
      for (const { member, asker } of askers.values()) if (member.name === machine) asker.retry();
    },
    progress,
    start() {
      running = true;
      follow();
      lookRegularly();
    },
    async close() {
      running = false;
      stopLooking();
      await Promise.all([...askers.values()].map(({ asker }) => asker.stop()));
    },
  };
}

function placeOf({ name, key, url }: Member, { book }: WitnessedLog): string {
  return `${book}/${name}/${formatVerifierKey(key)}/${url ?? ""}`;
}

function conflictOf({ machine, book, message, held, offered, isProven }: Claim): Trouble {
  const proven = isProven ? " Two signatures of the log's own key prove it." : "";
  return {
    type: "witness.conflict",
    book,
    witness: machine,
    message: `The witness ${machine} says of the book ${book}: ${message}${proven}`,
    notes: { held: held.note, offered: offered.note },
  };
}

function infoOf(
  { view, admissions, logs }: Pick<WitnessesOptions, "view" | "admissions" | "logs">,
  progress: Witnesses["progress"],
): WitnessInfo[] {
  const { members } = admissions.quorum();
  return view.rows().map((row): WitnessInfo => {
    const member = members.find(({ name }) => name === row.name);
    if (member === undefined) return outsider(row);
    const { name, standing, url, host, key } = member;
    const of = (log: WitnessedLog) => {
      const known = progress(member, log.book);
      const at = known.at();
      const newest = log.latest()?.head.size ?? 0;
      return {
        book: log.book,
        size: known.size(),
        at: at === null ? null : new Date(at).toISOString(),
        lag: Math.max(0, newest - (known.size() ?? 0)),
        error: known.error(),
      };
    };
    return { name, standing, url, host, vkey: formatVerifierKey(key), logs: logs.map(of) };
  });
}

function outsider({ name, offered, barred }: WitnessRow): WitnessInfo {
  const standing = barred ? "removed" : "candidate";
  return { name, standing, url: null, host: offered?.host ?? null, vkey: offered?.vkey ?? "", logs: [] };
}
