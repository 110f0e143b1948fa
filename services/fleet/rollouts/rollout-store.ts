import { idBytes } from "../../../lib/storage/keys.ts";
import type { Outbox } from "../../../lib/storage/outbox/outbox.ts";
import type { Store, Tx } from "../../../lib/storage/store/store.ts";
import { idOf } from "../commands/command-keys.ts";
import { rolloutEvent } from "./rollout-events.ts";
import { isOver, lastStep, type RolloutRecord } from "./rollout-record.ts";

/* Rollouts lie in the fleet's store under `sw <16-byte id>`. */
const ALL = { gte: Buffer.from("sw"), lt: Buffer.from("sx") };
const keyOf = (id: string) => Buffer.concat([ALL.gte, idBytes(id)]);

export type RolloutStore = {
  find(id: string): RolloutRecord | undefined;
  /** On disk with the event for audit when it resolves; null when the id is there already. */
  add(record: RolloutRecord): Promise<RolloutRecord | null>;
  /**
   * Changes a rollout in one write with the event for audit, if the change added a step to its history or a wave.
   *
   * @param change - made of the rollout as it is; null changes nothing.
   * @returns the rollout as it is now; null when nothing changed or the id is unknown.
   */
  change(id: string, change: (record: RolloutRecord) => RolloutRecord | null): Promise<RolloutRecord | null>;
  /** Newest first. */
  list(o: { limit: number; after: string | null }): Promise<{ records: RolloutRecord[]; next: string | null }>;
  /** Those that are not over. */
  underWay(): Promise<RolloutRecord[]>;
  /** Removes those that were over more than `olderThanMs` ago. */
  prune(olderThanMs: number): Promise<void>;
};

export function openRolloutStore(o: {
  store: Store;
  outbox: Pick<Outbox, "stage">;
  newId: () => string;
  now: () => number;
  tz: string;
}): RolloutStore {
  const moment = () => ({ id: o.newId(), at: new Date(o.now()).toISOString(), tz: o.tz });

  function put(tx: Tx, record: RolloutRecord, before: RolloutRecord | null): RolloutRecord {
    tx.put(keyOf(record.asked.id), Buffer.from(JSON.stringify(record)));
    if (record.history.length > (before?.history.length ?? 0)) {
      o.outbox.stage(tx, rolloutEvent(record, "state", moment()));
    } else if (record.waves.length > (before?.waves.length ?? 0)) {
      o.outbox.stage(tx, rolloutEvent(record, "wave", moment()));
    }
    return record;
  }

  function find(id: string): RolloutRecord | undefined {
    const bytes = o.store.getNow(keyOf(id));
    return bytes === undefined ? undefined : decode(bytes);
  }

  async function where(fits: (record: RolloutRecord) => boolean): Promise<RolloutRecord[]> {
    const found: RolloutRecord[] = [];
    for await (const [, value] of o.store.range(ALL)) {
      const record = decode(value);
      if (fits(record)) found.push(record);
    }
    return found;
  }

  return {
    find,
    add: (record) =>
      o.store.write((tx) => (tx.get(keyOf(record.asked.id)) === undefined ? put(tx, record, null) : null)),
    change: (id, change) =>
      o.store.write((tx) => {
        const bytes = tx.get(keyOf(id));
        if (bytes === undefined) return null;
        const before = decode(bytes);
        const after = change(before);
        return after && put(tx, after, before);
      }),
    async list({ limit, after }) {
      const range = { gte: ALL.gte, lt: after === null ? ALL.lt : keyOf(after), reverse: true, limit: limit + 1 };
      const ids: string[] = [];
      for await (const [key] of o.store.range(range)) ids.push(idOf(key));
      const page = ids.slice(0, limit);
      const records = page.map(find).filter((record) => record !== undefined);
      return { records, next: ids.length > limit ? (page.at(-1) ?? null) : null };
    },
    underWay: () => where((record) => !isOver(lastStep(record).state)),
    async prune(olderThanMs) {
      const before = o.now() - olderThanMs;
      const old = await where((record) => isOver(lastStep(record).state) && Date.parse(lastStep(record).at) < before);
      if (old.length === 0) return;
      await o.store.write((tx) => {
        for (const { asked } of old) tx.del(keyOf(asked.id));
      });
    },
  };
}

function decode(bytes: Buffer): RolloutRecord {
  return JSON.parse(bytes.toString("utf8")) as RolloutRecord;
}
