import type { Principal } from "../../lib/contracts/directory.ts";
import { LOCAL_ADMIN, SERVICE_NAMES } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { PersonId } from "../../lib/contracts/names.ts";
import type { EventDraft } from "../../lib/contracts/events.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";
import type { Store, Tx } from "../../lib/storage/store/store.ts";
import { decode, encode, type ErasedRecord, keyOf, localAdmin, NameRecord, principalOf, RANGES } from "./records.ts";

/** Names of services, which only a service can bear, and the local administrator's. */
const RESERVED: readonly string[] = [...SERVICE_NAMES, LOCAL_ADMIN];

/** What became of a name. */
export type NameChange = {
  principal: Principal;
  /** What it was; undefined for a new name. */
  before: Principal | undefined;
  /** Whether the name was taken away: `before` has it, and `principal` a random id in its place. */
  erased: boolean;
  /** Whether it signs in with another password, key or secret from now on. */
  credential: boolean;
};

/** Who is registered: read at once from memory, changed only together with the event that tells of it. */
export interface Register {
  get(name: string): NameRecord | undefined;
  bySub(sub: string): NameRecord | undefined;
  all(): NameRecord[];
  /** The same object until the record changes. */
  principal(name: string): Principal | undefined;
  principals(): Principal[];
  /** Called once a change is on disk, before whoever made it hears of it. */
  onChange(listener: (change: NameChange) => void): void;
  /**
   * Writes a new record and its event in one synced batch.
   *
   * @param also - further writes of the same batch, before the record.
   * @throws RastroError `name_taken`, decided inside the batch: two at once never both get the name.
   */
  add(record: NameRecord, event: EventDraft, also?: (tx: Tx) => void): Promise<void>;
  /**
   * Replaces a record with what `change` makes of the stored one.
   *
   * @param also - further writes of the same batch. @throws RastroError `unknown_name`.
   */
  replace(
    name: string,
    change: (record: NameRecord) => NameRecord,
    event: EventDraft,
    also?: (tx: Tx) => void,
  ): Promise<void>;
  /**
   * Puts what is left of a person in the place of the record of the name, which is free from then on.
   *
   * @param also - further writes of the same batch. @throws RastroError `unknown_name`.
   */
  erase(name: string, left: ErasedRecord, event: EventDraft, also: (tx: Tx) => void): Promise<void>;
}

/** Reads every record of the store into memory: a plant has hundreds of names, and the hub asks at each sign-in. */
export async function openRegister(o: { store: Store; outbox: Outbox; plantCreatedAt: string }): Promise<Register> {
  const records = new Map<string, NameRecord>();
  const principals = new Map<string, Principal>([[LOCAL_ADMIN, localAdmin(o.plantCreatedAt)]]);
  const names = new Map<string, string>();
  const listeners: ((change: NameChange) => void)[] = [];

  const remember = (record: NameRecord) => {
    const principal = principalOf(record);
    records.set(record.name, record);
    principals.set(record.name, principal);
    names.set(principal.sub, record.name);
    return principal;
  };
  const announce = (record: NameRecord, name = record.name) => {
    const known = records.get(name);
    const before = principals.get(name);
    const credential = known !== undefined && credentialIn(known) !== credentialIn(record);
    const erased = name !== record.name;
    if (erased) records.delete(name);
    if (erased) principals.delete(name);
    const change = { principal: remember(record), before, erased, credential };
    for (const listener of listeners) listener(change);
  };
  for await (const [, value] of o.store.range(RANGES.names)) remember(decode(NameRecord, value));

  return {
    get: (name) => records.get(name),
    bySub: (sub) => records.get(names.get(sub) ?? ""),
    all: () => sorted(records),
    principal: (name) => principals.get(name),
    principals: () => sorted(principals),
    onChange: (listener) => void listeners.push(listener),
    async add(record, event, also) {
      await o.store.write((tx) => {
        refuseTaken(tx, record);
        also?.(tx);
        tx.put(keyOf.name(record.name), encode(record));
        o.outbox.stage(tx, event);
      });
      announce(record);
    },
    async replace(name, change, event, also) {
      const record = await o.store.write((tx) => {
        const stored = tx.get(keyOf.name(name));
        if (stored === undefined) throw unknownName(name);
        const changed = change(decode(NameRecord, stored));
        tx.put(keyOf.name(name), encode(changed));
        o.outbox.stage(tx, event);
        also?.(tx);
        return changed;
      });
      announce(record);
    },
    async erase(name, left, event, also) {
      await o.store.write((tx) => {
        if (tx.get(keyOf.name(name)) === undefined) throw unknownName(name);
        tx.del(keyOf.name(name));
        tx.put(keyOf.name(left.name), encode(left));
        o.outbox.stage(tx, event);
        also(tx);
      });
      announce(left, name);
    },
  };
}

/** What a name signs in with, in one text that differs when it does. */
function credentialIn(record: NameRecord): string {
  if (record.kind === "person") return record.passwordHash;
  if (record.kind === "erased") return "";
  return `${record.publicKey ?? ""} ${record.kind === "machine" ? (record.secretHash ?? "") : ""}`;
}

function sorted<T>(byName: ReadonlyMap<string, T>): T[] {
  return [...byName].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, entry]) => entry);
}

export function unknownName(name: string): RastroError {
  return new RastroError({
    code: "unknown_name",
    message: `Looking ${name} up failed: nobody of this name is registered.`,
  });
}

function refuseTaken(tx: Tx, record: NameRecord): void {
  // What stands for a person in records stands for the name of one who was erased.
  const reserved =
    (RESERVED.includes(record.name) && record.kind !== "service") || PersonId.safeParse(record.name).success;
  if (!reserved && tx.get(keyOf.name(record.name)) === undefined) return;
  throw new RastroError({
    code: "name_taken",
    message: `Registering ${record.kind} ${record.name} failed: the name is taken; people, machines and services share one set of names.`,
    field: "name",
    given: record.name,
    expected: "a name that nobody has",
  });
}
