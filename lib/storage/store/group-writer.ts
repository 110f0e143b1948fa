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
/** With so many stages a group may be closed early: its batch is then worth a sync of its own … */
const WORTH_A_SYNC = 64;
/** … when staging goes on for more than this share of the time that a batch takes: the disk has waited enough. */
const STAGING_SHARE = 0.25;
/** Stages that run in one go before other work is let in, where some waits. */
const STAGES_AT_ONCE = 16;

/** A stage that waits for its group, and whoever waits for the stage. */
export type Waiting = { run: (group: Group) => void; settle: (failure: Error | null) => void };

/** How a batch ended: `failure` is told to those whose stages are in it. */
export type Committed = { failure: Error | null; isOnDisk: boolean };

export type GroupWriterOptions = {
  database: Pick<Database, "getSync">;
  /** Asked before a group: null when it can be read and written, else why not. */
  ready: () => Promise<Error | null>;
  /**
   * Whether the stages of the next group run while a batch is being written. They must then read nothing that is changed
   * when a write resolves: what they see is their transaction's.
   */
  ahead: boolean;
  /** Must not reject. */
  commit: (group: Group, stages: number) => Promise<Committed>;
};

type StagedGroup = { group: Group; members: Waiting[] };

/**
 * Writes what waits in groups, one batch after the other. `ahead`, the stages of the next group run while a batch is
 * being written; they see what that batch has, and are rejected with it if it does not reach the disk. Otherwise whoever
 * waits for a group is told before the next one is staged.
 */
export class GroupWriter {
  readonly #o: GroupWriterOptions;
  readonly #waiting: Waiting[] = [];
  readonly #between: (() => Promise<void>)[] = [];
  #writing: Promise<void> | null = null;
  /** How long the last batch took, with what belongs to it. */
  #batchMs = Number.POSITIVE_INFINITY;

  constructor(options: GroupWriterOptions) {
    this.#o = options;
  }

  get isWriting(): boolean {
    return this.#writing !== null;
  }

  add(waiting: Waiting): void {
    this.#waiting.push(waiting);
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

  async #writeGroups(): Promise<void> {
    let staged = this.#groupOver(null);
    while (staged.members.length > 0 || this.#waiting.length > 0 || this.#between.length > 0) {
      const work = this.#between.shift();
      if (work === undefined) staged = await this.#writeGroup(staged);
      else await work();
      // What was written is told first: a large group may take as long as many answers.
      if (this.#waiting.length > (this.#o.ahead ? STAGES_AT_ONCE : 0)) await nextTurn();
    }
    this.#writing = null;
  }

  /** Writes a group to which may still be added what waits. @returns the one that was begun meanwhile. */
  async #writeGroup(staged: StagedGroup): Promise<StagedGroup> {
    const obstacle = await this.#o.ready();
    if (obstacle !== null) {
      settleAll([...staged.members, ...this.#waiting.splice(0)], obstacle);
      return this.#groupOver(null);
    }
    this.#stage(staged);
    const next = this.#groupOver(staged.group);
    const { failure, isOnDisk } = await this.#commitWhileStaging(staged, next);
    settleAll(staged.members, failure);
    if (isOnDisk) return next;
    settleAll(next.members, failure);
    return this.#groupOver(null);
  }

  async #commitWhileStaging(staged: StagedGroup, next: StagedGroup): Promise<Committed> {
    const begun = performance.now();
    const batch: { ended: Committed | null } = { ended: null };
    const ending = this.#o.commit(staged.group, staged.members.length).then((ended) => (batch.ended = ended));
    while (this.#o.ahead && batch.ended === null && this.#stageSome(next)) await nextTurn();
    const ended = await ending;
    this.#batchMs = performance.now() - begun;
    return ended;
  }

  #stage(staged: StagedGroup): void {
    const until = this.#o.ahead ? performance.now() + this.#batchMs * STAGING_SHARE : Number.POSITIVE_INFINITY;
    while (this.#stageSome(staged)) {
      if (staged.members.length >= WORTH_A_SYNC && performance.now() > until) return;
    }
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
