import { RastroError } from "../../lib/contracts/errors.ts";
import type { ErasureGround } from "../../lib/contracts/privacy.ts";
import { sealReason } from "../../lib/storage/people/sealed-reason.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { BY_DIRECTORY, type By, type Drafts } from "./drafts.ts";
import type { Erasure, Erasures } from "./erasures.ts";
import type { PersonKeys } from "./person-keys.ts";
import type { ErasedRecord, NameRecord, PersonRecord } from "./records.ts";
import { type Register, unknownName } from "./register.ts";
import type { Sessions } from "./sessions.ts";

/** Who was erased, for whoever keeps something under the name. */
export type ErasedName = { name: string; sub: string };

export interface Erasing {
  /**
   * Destroys the key of a person, and with it every sealed text in every book and backup of a book; takes name, badge,
   * password and sessions out of the directory, and leaves nothing of them in any file. What is left is the random id.
   *
   * Resolves when all of it is done. When it rejects after the key was destroyed, the rest is done at the next start.
   *
   * @param who - name or random id.
   * @throws RastroError `unknown_name`, `already_erased`, `last_administrator`; `store_unusable`.
   */
  erase(by: By, who: string, why: { ground: ErasureGround; text: string }): Promise<Erasure>;
  /**
   * Has every erasure of the list hold, whatever backup a store was put back from. Called before anybody is served;
   * those that were cut short are left to {@link Erasing.finish}.
   *
   * @returns how many people had come back.
   */
  applyErasures(): Promise<number>;
  /** How many erasures of the list may have left something in a file of whoever keeps things under the name. */
  cutShort(): number;
  /** Nobody has kept anything of them. */
  finish(): Promise<void>;
  /** Called for each person who is erased, when the directory has forgotten the name, one after the other; it waits for them. */
  onErased(listener: (erased: ErasedName) => Promise<void>): void;
}

export function openErasing(o: {
  register: Register;
  keys: PersonKeys;
  sessions: Pick<Sessions, "stageEnd">;
  erasures: Erasures;
  drafts: Drafts;
  store: Pick<Store, "rewrite">;
}): Erasing {
  const listeners: ((erased: ErasedName) => Promise<void>)[] = [];

  /** @param event - tells of it. Does nothing for somebody whom the directory has forgotten already. */
  async function forget(erasure: Erasure, by: By, event: ReturnType<Drafts>): Promise<ErasedName | null> {
    await o.keys.destroy(erasure.sub);
    const record = o.register.bySub(erasure.sub);
    if (record?.kind !== "person") return null;
    const { name, sub } = record;
    await o.register.erase(name, leftOf(record, erasure), event, (tx) =>
      o.sessions.stageEnd(tx, ({ user }) => user === name, by, "erased"),
    );
    return { name, sub };
  }

  async function leaveNothing(): Promise<void> {
    await o.keys.shred();
    await o.store.rewrite();
  }

  async function reasonOf(by: By, { ground, text }: { ground: ErasureGround; text: string }, event: string) {
    return { code: ground, text: sealReason(await o.keys.of(by.sub), by.sub, text, event) };
  }

  return {
    async erase(by, who, why) {
      const person = requirePerson(o.register, who);
      refuseLastAdministrator(o.register, person);
      const draft = o.drafts("person.erased", by, { kind: "person", key: person.sub }, {});
      const { ground } = why;
      const erasure: Erasure = { v: 1, id: draft.id, sub: person.sub, at: draft.at, ground, by: by.sub };
      const event = { ...draft, reason: await reasonOf(by, why, draft.id), payload: { erasure: erasure.id } };
      // In the list before anything is destroyed: from here on it is carried out, now or at the next start.
      await o.erasures.add(erasure);
      const erased = await forget(erasure, by, event);
      if (erased !== null) for (const listener of listeners) await listener(erased);
      await leaveNothing();
      await o.erasures.finish(erasure.id);
      return erasure;
    },

    async applyErasures() {
      let back = 0;
      for (const erasure of o.erasures.all()) {
        const { sub, ground } = erasure;
        if (!(await o.keys.has(sub)) && o.register.bySub(sub)?.kind !== "person") continue;
        // Another event than the first, which the book may have already; the text was told with that one.
        const payload = { erasure: erasure.id, again: true };
        const draft = o.drafts("person.erased", BY_DIRECTORY, { kind: "person", key: sub }, payload);
        await forget(erasure, BY_DIRECTORY, { ...draft, reason: { code: ground, text: null } });
        back += 1;
      }
      if (back > 0 || o.erasures.unfinished().length > 0) await leaveNothing();
      return back;
    },

    cutShort: () => o.erasures.unfinished().length,
    async finish() {
      for (const { id } of o.erasures.unfinished()) await o.erasures.finish(id);
    },

    onErased: (listener) => void listeners.push(listener),
  };
}

/** A person by name or random id. @throws RastroError `unknown_name`, `already_erased`. */
export function requirePerson(register: Pick<Register, "get" | "bySub">, who: string): PersonRecord {
  const record = register.get(who) ?? register.bySub(who);
  if (record?.kind === "person") return record;
  if (record?.kind === "erased") throw alreadyErased(record);
  throw unknownName(who);
}

/** Whoever holds the hub's local key is no substitute: the key is good on the hub alone. */
function refuseLastAdministrator(register: Pick<Register, "all">, { name, profile, active }: PersonRecord): void {
  const others = register.all().filter((record) => isAdministrator(record) && record.name !== name);
  if (profile !== "administrator" || !active || others.length > 0) return;
  throw new RastroError({
    code: "last_administrator",
    message: `Erasing ${name} failed: it is the last administrator who may sign in; make another one first.`,
    field: "person",
    given: name,
    expected: "somebody besides whom there is an administrator",
  });
}

function isAdministrator(record: NameRecord): boolean {
  return record.kind === "person" && record.profile === "administrator" && record.active;
}

function leftOf({ sub, profile, registeredAt }: PersonRecord, { at }: Erasure): ErasedRecord {
  return { v: 1, kind: "erased", name: sub, sub, profile, active: false, registeredAt, erasedAt: at };
}

function alreadyErased({ sub, erasedAt }: ErasedRecord): RastroError {
  return new RastroError({
    code: "already_erased",
    message: `Looking up person ${sub} failed: erased on ${erasedAt}; the random id is all that is left.`,
    given: sub,
    expected: "a person who is not erased",
  });
}
