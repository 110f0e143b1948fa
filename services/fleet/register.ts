import type { EventDraft } from "../../lib/contracts/events.ts";
import { Presence } from "../../lib/contracts/machine.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";
import type { Store, Tx } from "../../lib/storage/store/store.ts";
import { changeBetween, presenceEvent } from "./presence-change.ts";

const PREFIX = Buffer.from("sp");
const END = Buffer.from("sq");

export type Register = {
  /** The last presence of a machine that is on disk; undefined for one that never gave any. */
  presence(machine: string): Presence | undefined;
  online(): string[];
  /** Every machine that gave a presence. */
  names(): string[];
  /**
   * Takes in what a presence topic says; null when its retained message was cleared. Resolves after the register and,
   * if the machine came or went, the event for audit are on disk in one write. Calls take effect in their order.
   */
  take(machine: string, presence: Presence | null): Promise<void>;
};

/** Opens the register of presence: what is known of each machine survives a restart of the fleet and of the hub. */
export async function openRegister(o: {
  store: Store;
  outbox: Pick<Outbox, "stage">;
  newId: () => string;
  now: () => number;
  tz: string;
}): Promise<Register> {
  const known = await readKnown(o.store);

  function stage(tx: Tx, machine: string, presence: Presence | null): void {
    const before = readIn(tx, machine);
    if (presence === null) tx.del(keyOf(machine));
    else tx.put(keyOf(machine), Buffer.from(JSON.stringify(presence)));
    const draft = draftOf(machine, before, presence);
    if (draft !== null) o.outbox.stage(tx, draft);
    tx.onCommit(() => remember(machine, presence));
  }

  function draftOf(machine: string, before: Presence | undefined, presence: Presence | null): EventDraft | null {
    const change = changeBetween(before, presence);
    const now = new Date(o.now()).toISOString();
    return change && presenceEvent({ id: o.newId(), now, tz: o.tz, machine, change, presence });
  }

  function remember(machine: string, presence: Presence | null): void {
    if (presence === null) known.delete(machine);
    else known.set(machine, presence);
  }

  return {
    presence: (machine) => known.get(machine),
    online: () => [...known].filter(([, presence]) => presence.online).map(([machine]) => machine),
    names: () => [...known.keys()],
    take: (machine, presence) => o.store.write((tx) => stage(tx, machine, presence)),
  };
}

async function readKnown(store: Store): Promise<Map<string, Presence>> {
  const known = new Map<string, Presence>();
  for await (const [key, value] of store.range({ gte: PREFIX, lt: END })) {
    known.set(key.subarray(PREFIX.length).toString("utf8"), decode(value));
  }
  return known;
}

function readIn(tx: Tx, machine: string): Presence | undefined {
  const bytes = tx.get(keyOf(machine));
  return bytes === undefined ? undefined : decode(bytes);
}

function keyOf(machine: string): Buffer {
  return Buffer.concat([PREFIX, Buffer.from(machine)]);
}

function decode(bytes: Buffer): Presence {
  return Presence.parse(JSON.parse(bytes.toString("utf8")));
}
