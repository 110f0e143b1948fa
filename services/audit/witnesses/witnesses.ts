import type { BookName } from "../../../lib/contracts/names.ts";
import type { BookWitnessed, WitnessInfo } from "../../../lib/contracts/witness-members.ts";
import { formatVerifierKey } from "../../../lib/ledger/signed-note.ts";
import type { After } from "../../../lib/messaging/timing.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { Store } from "../../../lib/storage/store/store.ts";
import type { Admissions } from "./admissions.ts";
import { type Asker, startAsker } from "./asker.ts";
import type { BehindBooks } from "./behind.ts";
import type { Carriers } from "./carriers.ts";
import type { Outcome } from "./exchange.ts";
import { createJudgements, type Judgements } from "./judgements.ts";
import { openProgress, type Progress } from "./progress.ts";
import { createQuorumWatch, type QuorumWatch } from "./quorum-watch.ts";
import type { Member } from "./standing.ts";
import type { TroubleLog } from "./trouble-log.ts";
import type { WitnessView } from "./view.ts";
import { witnessInfo } from "./witness-info.ts";
import type { WitnessedLog } from "./witnessed-log.ts";

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
  takeClaim: Judgements["takeClaim"];
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
  const isAsked = (name: string) => o.admissions.quorum().asked.some((member) => member.name === name);
  const heldBy = (member: Member, book: BookName) => progress(member, book).note();
  const judgements = createJudgements({ ...o, isBelieved: isAsked, heldBy });
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
    const { asked } = o.admissions.quorum();
    const wanted = new Map(asked.flatMap((member) => o.logs.map((log) => [placeOf(member, log), { member, log }])));
    for (const [place, { asker, member, log }] of askers) {
      if (wanted.has(place)) continue;
      askers.delete(place);
      void asker.stop();
      if (!isAsked(member.name)) judgements.forget(member, log);
    }
    for (const [place, { member, log }] of wanted) if (!askers.has(place)) askers.set(place, begin(member, log));
    lookAtQuorums();
  }

  function begin(member: Member, log: WitnessedLog): Asked {
    const carry = member.url === null ? o.carriers.overMqtt(member.name, log.book) : o.carriers.overHttp(member.url);
    const asker = startAsker({
      log,
      member,
      carry,
      progress: progress(member, log.book),
      onOutcome: (outcome) => take(member, log, outcome),
      now: o.now,
      after: o.after,
      random: o.random,
      logger: o.log,
    });
    return { member, log, asker };
  }

  async function take(member: Member, log: WitnessedLog, outcome: Outcome): Promise<void> {
    await judgements.judge(member, log, outcome);
    if (outcome.kind !== "cosigned") return;
    watches.get(log.book)?.look(outcome.checkpoint.head.size);
    lookAtQuorum(log);
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
    list: () => witnessInfo(o, progress),
    books: () =>
      o.logs.map((log) => ({
        book: log.book,
        size: log.latest()?.head.size ?? null,
        needed: o.admissions.quorum().threshold,
        cosigned: watches.get(log.book)?.cosigned() ?? 0,
        troubles: o.troubles.open().flatMap((trouble) => (trouble.book === log.book ? [trouble.message] : [])),
      })),
    takeClaim: judgements.takeClaim,
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
