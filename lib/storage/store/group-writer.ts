import { setImmediate as nextTurn } from "node:timers/promises";
import type { Database } from "../level/database.ts";
import { Group } from "./group.ts";

/**
 * A group is closed when it has this many stages: enough that a disk of 10 ms a sync takes ten thousand a second, few
 * enough that the answers to one group and the requests of the next overlap.
 */
export const GROUP_STAGES = 256;
/** … or this many bytes of keys and values. */
const GROUP_BYTES = 4 * 1024 * 1024;
/** Fewer stages than this are not shared out among two batches: a sync takes as long as staging so many. */
const WORTH_A_SYNC = 48;
/** Stages that run in one go before other work is let in, where some waits. */
const STAGES_AT_ONCE = 32;

/** A stage that waits for its group, and whoever waits for the stage. */
export type Waiting = { run: (group: Group) => void; settle: (failure: Error | null) => void };

/** A batch on its way to the disk. Neither promise rejects; both say what is told to those whose stages are in it. */
export type Commit = {
  /** Null once the batch is on disk. */
  written: Promise<Error | null>;
  /** Null once what belongs to the batch is there as well. */
  ended: Promise<Error | null>;
};

export type GroupWriterOptions = {
  database: Pick<Database, "getSync">;
  /** Asked before a group: null when it can be read and written, else why not. */
  ready: () => Promise<Error | null>;
  /**
   * Whether the stages of the next group run while a batch is being written. They must then read nothing that is changed
   * when a write resolves: what they see is their transaction's.
   */
  ahead: boolean;
  commit: (group: Group, stages: number) => Commit;
};

type StagedGroup = { group: Group; members: Waiting[] };

/**
 * Writes what waits in groups, one batch after the other. `ahead`, the stages of the next group run while a batch is
 * being written; they see what that batch has, and are rejected with it if it does not reach the disk. That group is
 * written while what belongs to the batch before still is, and told after it. Otherwise whoever waits for a group is told
 * before the next one is staged.
 */
export class GroupWriter {
  readonly #o: GroupWriterOptions;
  readonly #waiting: Waiting[] = [];
  readonly #between: (() => Promise<void>)[] = [];
  #writing: Promise<void> | null = null;
  /** Whoever asked to be told when something comes to wait. */
  #arriving: PromiseWithResolvers<void> | null = null;
  /** Done when all are told whose batches are on disk. */
  #telling: Promise<void> = Promise.resolve();

  constructor(options: GroupWriterOptions) {
    this.#o = options;
  }

  get isWriting(): boolean {
    return this.#writing !== null;
  }

  add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#arriving?.resolve();
    this.#arriving = null;
  }

  /** Adds what has to be done while no batch is on its way and no stage runs. Must not reject. */
  between(work: () => Promise<void>): void {
    this.#between.push(work);
  }

  /** Writes until nothing waits any more. */
  write(): Promise<void> {
    // One turn later, so that calls of the same turn share the first group.
    this.#writing ??= Promise.resolve().then(() => this.#writeGroups());
    return this.#writing;
  }

  /** Writes until nothing waits any more, and all are told. */
  async finish(): Promise<void> {
    await this.write();
    await this.#telling;
  }

  async #writeGroups(): Promise<void> {
    let staged = this.#groupOver(null);
    while (staged.members.length > 0 || this.#waiting.length > 0 || this.#between.length > 0) {
      const work = this.#between.shift();
      if (work === undefined) staged = await this.#writeGroup(staged);
      else await this.#telling.then(work);
      // What was written is told first: a large group may take as long as many answers.
      if (this.#waiting.length > (this.#o.ahead ? STAGES_AT_ONCE : 0)) await nextTurn();
    }
    this.#writing = null;
  }

  /** Writes a group to which may still be added what waits. @returns the one that was begun meanwhile. */
  async #writeGroup(staged: StagedGroup): Promise<StagedGroup> {
    const obstacle = await this.#o.ready();
    if (obstacle !== null) {
      await this.#telling;
      settleAll([...staged.members, ...this.#waiting.splice(0)], obstacle);
      return this.#groupOver(null);
    }
    this.#stageShare(staged);
    const next = this.#groupOver(staged.group);
    const { written, ended } = this.#o.commit(staged.group, staged.members.length);
    const failure = await this.#stageUntil(written, next);
    // Not more than one group waits for what belongs to its batch.
    await this.#telling;
    this.#telling = ended.then((why) => settleAll(staged.members, why));
    if (!this.#o.ahead || failure !== null) await this.#telling;
    if (failure === null) return next;
    settleAll(next.members, failure);
    return this.#groupOver(null);
  }

  /** Stages what is to be in the batch that is written next: the rest can be staged meanwhile. */
  #stageShare(staged: StagedGroup): void {
    const all = staged.members.length + this.#waiting.length;
    const share = this.#o.ahead ? Math.max(WORTH_A_SYNC, all / 2) : all;
    while (staged.members.length < share && this.#stageSome(staged)) continue;
  }

  /** Stages what waits, and what comes to wait, until a batch is written. */
  async #stageUntil(written: Promise<Error | null>, next: StagedGroup): Promise<Error | null> {
    const batch = { isWritten: false };
    const writing = written.finally(() => (batch.isWritten = true));
    while (this.#o.ahead && !batch.isWritten) {
      if (this.#stageSome(next)) await nextTurn();
      else await Promise.race([writing, this.#arrival()]);
    }
    return writing;
  }

  #arrival(): Promise<void> {
    this.#arriving ??= Promise.withResolvers();
    return this.#arriving.promise;
  }

  /** @returns whether there is more that the group has room for. */
  #stageSome({ group, members }: StagedGroup): boolean {
    const hasRoom = () => members.length < GROUP_STAGES && group.bytes < GROUP_BYTES;
    let taken = 0;
    while (taken < STAGES_AT_ONCE && hasRoom()) {
      const next = this.#waiting[taken];
      if (next === undefined) break;
      taken += 1;
      try {
        next.run(group);
        members.push(next);
      } catch (thrown) {
        next.settle(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
    }
    this.#waiting.splice(0, taken);
    return this.#waiting.length > 0 && hasRoom();
  }

  #groupOver(below: Group | null): StagedGroup {
    return { group: new Group(this.#o.database, below), members: [] };
  }
}

function settleAll(members: Waiting[], failure: Error | null): void {
  for (const member of members) member.settle(failure);
}
