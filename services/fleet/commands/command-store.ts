import { isOpen } from "../../../lib/contracts/commands.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import type { Outbox } from "../../../lib/storage/outbox/outbox.ts";
import type { Store, Tx } from "../../../lib/storage/store/store.ts";
import { commandEvent } from "./command-events.ts";
import { commandKeys, idOf, listRange, OPEN, RECORDS } from "./command-keys.ts";
import {
  type CommandRecord,
  decodeRecord,
  type NewCommand,
  encodeRecord,
  type Step,
  stepOf,
} from "./command-record.ts";
import { type Happening, stateAfter } from "./command-state.ts";

/** How many commands may be open for one machine at once. */
const OPEN_MAXIMUM = 100;

/** Commands that one batch of a pruning removes. */
const PRUNE_BATCH = 200;

export type CommandStore = {
  /** Every open command that is on disk, oldest id first. */
  open(machine?: string): CommandRecord[];
  find(id: string): CommandRecord | undefined;
  /**
   * Keeps a new command, as queued or, while nothing is signed, as waiting for approval; both it and the event for audit
   * are on disk when it resolves. Null when the id is there already.
   *
   * @throws RastroError `busy` when too many are open for the machine.
   */
  add(made: NewCommand): Promise<CommandRecord | null>;
  /**
   * Moves a command on, in one write with the event for audit.
   *
   * @returns the command as it is now; null when nothing changed or the id is unknown.
   */
  advance(id: string, happening: Happening): Promise<CommandRecord | null>;
  /** Newest first. `next` goes on after the last. */
  list(o: {
    machine: string | null;
    limit: number;
    after: string | null;
  }): Promise<{ records: CommandRecord[]; next: string | null }>;
  /** Removes commands that ended more than `olderThanMs` ago. */
  prune(olderThanMs: number): Promise<void>;
};

export async function openCommandStore(o: {
  store: Store;
  outbox: Pick<Outbox, "stage">;
  newId: () => string;
  now: () => number;
  tz: string;
}): Promise<CommandStore> {
  const { store, outbox, newId, tz } = o;
  const now = () => new Date(o.now()).toISOString();
  const openOnes = await readOpen(store);

  function put(tx: Tx, record: CommandRecord): CommandRecord {
    const { id, machine } = record.command;
    const open = isOpen(stepOf(record).state);
    tx.put(commandKeys.record(id), encodeRecord(record));
    tx.put(commandKeys.ofMachine(machine, id), Buffer.alloc(0));
    if (open) tx.put(commandKeys.open(id), Buffer.alloc(0));
    else tx.del(commandKeys.open(id));
    outbox.stage(tx, commandEvent(record, { id: newId(), tz }));
    tx.onCommit(() => {
      if (open) openOnes.set(id, record);
      else openOnes.delete(id);
    });
    return record;
  }

  function step(state: Step["state"], happening: Happening): Step {
    const by = happening.kind === "approved" || happening.kind === "cancelled" ? happening.by : null;
    return { state, at: now(), by };
  }

  const list = (machine?: string) =>
    [...openOnes.values()].filter((record) => machine === undefined || record.command.machine === machine);

  function find(id: string): CommandRecord | undefined {
    const bytes = store.getNow(commandKeys.record(id));
    return bytes === undefined ? undefined : decodeRecord(bytes);
  }

  return {
    open: list,
    find,
    add: (made) =>
      store.write((tx) => {
        const { signed, command } = made;
        if (tx.get(commandKeys.record(command.id)) !== undefined) return null;
        if (list(command.machine).length >= OPEN_MAXIMUM) throw tooMany(command.machine);
        const state = signed === null ? "pending-approval" : "queued";
        return put(tx, { ...made, history: [{ state, at: now(), by: command.issuer }], result: null });
      }),
    advance: (id, happening) =>
      store.write((tx) => {
        const bytes = tx.get(commandKeys.record(id));
        if (bytes === undefined) return null;
        const before = decodeRecord(bytes);
        const state = stateAfter(stepOf(before).state, happening);
        if (state === null) return null;
        return put(tx, { ...changedBy(before, happening), history: [...before.history, step(state, happening)] });
      }),
    async list({ machine, limit, after }) {
      const ids: string[] = [];
      const range = { ...listRange(machine, after), reverse: true, limit: limit + 1 };
      for await (const [key] of store.range(range)) ids.push(idOf(key));
      const page = ids.slice(0, limit);
      const records = page.map((id) => find(id)).filter((record) => record !== undefined);
      return { records, next: ids.length > limit ? (page.at(-1) ?? null) : null };
    },
    async prune(olderThanMs) {
      const before = o.now() - olderThanMs;
      let ended: CommandRecord[] = [];
      for await (const [, value] of store.range(RECORDS)) {
        const record = decodeRecord(value);
        const { state, at } = stepOf(record);
        if (!isOpen(state) && Date.parse(at) < before) ended.push(record);
        if (ended.length < PRUNE_BATCH) continue;
        await remove(store, ended);
        ended = [];
      }
      if (ended.length > 0) await remove(store, ended);
    },
  };
}

function changedBy(before: CommandRecord, happening: Happening): CommandRecord {
  if (happening.kind === "approved") return { ...before, ...happening.made };
  if (happening.kind === "result") return { ...before, result: happening.result };
  return before;
}

async function readOpen(store: Store): Promise<Map<string, CommandRecord>> {
  const open = new Map<string, CommandRecord>();
  for await (const [key] of store.range(OPEN)) {
    const id = idOf(key);
    const bytes = store.getNow(commandKeys.record(id));
    if (bytes !== undefined) open.set(id, decodeRecord(bytes));
  }
  return open;
}

function remove(store: Store, records: readonly CommandRecord[]): Promise<void> {
  return store.write((tx) => {
    for (const { command } of records) {
      tx.del(commandKeys.record(command.id));
      tx.del(commandKeys.ofMachine(command.machine, command.id));
    }
  });
}

function tooMany(machine: string): RastroError {
  return new RastroError({
    code: "busy",
    message: `Sending a command to ${machine} failed: ${OPEN_MAXIMUM} commands for it are open already; wait until some have ended.`,
    given: machine,
  });
}
