import { setImmediate as nextTurn } from "node:timers/promises";
import { join } from "node:path";
import { RastroError } from "../../contracts/errors.ts";
import type { Findings } from "../../ledger/findings.ts";
import { addSignatures } from "../../ledger/signature-check.ts";
import {
  beginVerification,
  type BegunVerification,
  type VerifyInput,
  type VerifyOutcome,
} from "../../ledger/verify.ts";
import type { Database } from "../level/database.ts";
import { IdSums } from "./id-sums.ts";
import { liveTables } from "../level/manifest.ts";
import { isSoundBeside } from "../level/table.ts";
import type { Store } from "../store/store.ts";
import { BLOCK_RECORDS, type BlockOutcome } from "./verify-block.ts";
import { nameLostIds, nameStrayIds, sumStoredIds } from "./verify-ids.ts";
import { type BlockCheckers, checkHere, checkOnThreads } from "./verify-pool.ts";

/** How long a walk works before it lets other work in, ms. */
const TURN_MS = 5;
/** Fewer records than this are done before threads have started. */
const THREADS_FROM = 20_000;

export type VerifyBookOptions = {
  store: Store;
  input: VerifyInput;
  /** Threads that check at once, where the store can be read by other threads; 0 for none but this one. */
  threads: number;
  /** So many random bytes. */
  random: (length: number) => Buffer;
  /** Records done, of all. */
  onProgress?: (done: number, of: number) => void;
};

type Block = { first: number; count: number; outcome: BlockOutcome | null };

/**
 * Verifies a book: block after block by quick checks that say yes or no, on as many threads as there are, and record
 * by record where a block is not sound, which names what is wrong. What it finds is what a walk of every record would.
 *
 * `input.from` is brought down to where a block begins.
 *
 * @throws RastroError `store_unusable` when the store is closed, or opened anew after a failed batch, meanwhile.
 */
export async function verifyBook(o: VerifyBookOptions): Promise<VerifyOutcome & { from: number }> {
  const from = Math.floor((o.input.from ?? 0) / BLOCK_RECORDS) * BLOCK_RECORDS;
  const begun = beginVerification({ ...o.input, from });
  const seedBytes = o.random(8);
  const seeds = [seedBytes.readUInt32BE(0), seedBytes.readUInt32BE(4)] as const;
  let checkers: BlockCheckers | null = null;
  let stopped = false;
  const loan = await o.store.lend(async () => {
    stopped = true;
    await checkers?.end();
  });
  const { database } = loan;
  try {
    checkers = checkersFor(o, database, begun.size - begun.from, seeds);
    const assertReadable = () => {
      if (stopped) throw interrupted();
    };
    const outcome = await new Course({ o, begun, checkers, database, seeds, assertReadable }).run();
    assertReadable();
    return { ...outcome, from: begun.from };
  } catch (thrown) {
    throw stopped ? interrupted() : thrown;
  } finally {
    await checkers?.end();
    loan.giveBack();
  }
}

function checkersFor(
  o: VerifyBookOptions,
  database: Pick<Database, "iterator" | "shared">,
  records: number,
  seeds: readonly [number, number],
): BlockCheckers {
  const { keyOf } = o.input;
  const folder = database.shared;
  if (folder === undefined || !(o.threads >= 1) || records < THREADS_FROM) return checkHere({ database, keyOf, seeds });
  return checkOnThreads({ folder, keyOf, seeds, threads: o.threads });
}

type CourseOptions = {
  o: VerifyBookOptions;
  begun: BegunVerification;
  checkers: BlockCheckers;
  database: Pick<Database, "iterator" | "folder">;
  seeds: readonly [number, number];
  assertReadable: () => void;
};

/** One verification on its way through a book. */
class Course {
  readonly #c: CourseOptions;
  /** Records below this have their bytes and are counted by the head: the others are walked. */
  readonly #end: number;
  readonly #ids: IdSums;
  /** Ranges of sound blocks, whose ids the walk has not looked at. */
  readonly #sound: [number, number][] = [];

  constructor(course: CourseOptions) {
    this.#c = course;
    const { head, reach } = course.o.input;
    this.#end = Math.max(course.begun.from, Math.min(head.size, reach));
    this.#ids = new IdSums(course.seeds);
  }

  async run(): Promise<VerifyOutcome> {
    const { begun, checkers, database, seeds } = this.#c;
    const isWhole = begun.from === 0;
    const storedIds = isWhole ? sumStoredIds({ database, checkers, seeds }, this.#end) : Promise.resolve(null);
    storedIds.catch(() => undefined);
    let held: Block | null = null;
    for await (const block of this.#blocks()) {
      if (held !== null) await this.#settle(held, block);
      held = block;
    }
    if (held !== null) await this.#settle(held, null);
    await this.#walk(this.#end, begun.size);
    await this.#checkIds(await storedIds);
    if (isWhole) await nameDamagedTables(database.folder, begun.findings);
    return begun.finish();
  }

  /** The blocks in order, checked ahead. */
  async *#blocks(): AsyncGenerator<Block> {
    const { checkers, begun, o } = this.#c;
    const pending: Promise<Block>[] = [];
    let next = begun.from;
    let done = begun.from;
    const check = async (first: number): Promise<Block> => {
      const count = Math.min(BLOCK_RECORDS, this.#end - first);
      const outcome = await checkers.block(first, count);
      done += count;
      o.onProgress?.(done - begun.from, begun.size - begun.from);
      return { first, count, outcome };
    };
    for (;;) {
      for (; next < this.#end && pending.length < checkers.ahead; next += BLOCK_RECORDS) {
        const block = check(next);
        block.catch(() => undefined);
        pending.push(block);
      }
      const block = await pending.shift();
      this.#c.assertReadable();
      if (block === undefined) return;
      yield block;
    }
  }

  /** Takes a block into the tree, or walks it where it or what follows is not sound. */
  async #settle({ first, count, outcome }: Block, next: Block | null): Promise<void> {
    const { walk } = this.#c.begun;
    if (outcome === null || !this.#holdsTo(outcome, next)) return this.#walk(first, first + count);
    walk.take(outcome.block);
    addSignatures(walk.signatures.counts, outcome.signatures);
    this.#ids.merge(outcome.ids);
    this.#sound.push([first, first + count]);
  }

  /** Whether what comes after a block follows on its last record. */
  #holdsTo({ block }: BlockOutcome, next: Block | null): boolean {
    if (next !== null) return next.outcome !== null && next.outcome.block.prev === block.last;
    const { tip } = this.#c.o.input.head;
    return this.#end === this.#c.begun.size && tip !== null && block.last === Buffer.from(tip).toString("hex");
  }

  async #walk(begin: number, end: number): Promise<void> {
    let turnEnds = performance.now() + TURN_MS;
    for (const _done of this.#c.begun.walk.over(begin, end)) {
      if (performance.now() < turnEnds) continue;
      await nextTurn();
      this.#c.assertReadable();
      turnEnds = performance.now() + TURN_MS;
    }
  }

  /** Each by itself only where the sums do not agree, or not all can be had. */
  async #checkIds(stored: IdSums | null): Promise<void> {
    const { database, begun, o } = this.#c;
    if (stored !== null && stored.equals(this.#ids)) return;
    const named = new Set(begun.findings.named.flatMap(({ place }) => (place.at === "id" ? [place.id] : [])));
    const questions = { database, stored: o.input.stored, findings: begun.findings, named };
    for (const [first, end] of this.#sound) {
      await nameLostIds(questions, first, end);
      this.#c.assertReadable();
    }
    if (begun.from === 0) await nameStrayIds(questions, this.#end);
  }
}

/** A table whose index or filter is damaged is read from one end to the other as if it were not. */
async function nameDamagedTables(folder: string | undefined, findings: Findings): Promise<void> {
  for (const name of folder === undefined ? [] : ((await liveTables(folder)) ?? [])) {
    // One that is gone has been merged into another meanwhile.
    const isSound = await isSoundBeside(join(folder as string, name)).catch(() => true);
    if (!isSound) findings.report(0, "index", { at: "file", name }, "checksums that fit", "others");
  }
}

function interrupted(): RastroError {
  const message =
    "Verifying the book failed: its store was closed, or opened anew after a batch that failed. Verify again.";
  return new RastroError({ code: "store_unusable", message });
}
