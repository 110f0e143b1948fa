import type { z } from "zod";
import {
  LOCAL_ADMIN,
  type PersonKey,
  type PersonProfile,
  type UserAddRequest,
  type UserRow,
} from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { EventDraft, EventType, Sealed } from "../../lib/contracts/events.ts";
import type { PersonData } from "../../lib/contracts/privacy.ts";
import type { Passwords } from "../../lib/runtime/passwords.ts";
import { seal, unseal } from "../../lib/storage/people/sealing.ts";
import type { Tx } from "../../lib/storage/store/store.ts";
import type { By, Drafts } from "./drafts.ts";
import type { PersonKeys } from "./person-keys.ts";
import type { NameRecord, PersonRecord } from "./records.ts";
import { type Register, unknownName } from "./register.ts";
import { looksIssued } from "./secrets.ts";
import type { Sessions, WhichSessions } from "./sessions.ts";

export type NewPerson = {
  name: string;
  profile: z.infer<typeof PersonProfile>;
  password: string;
  fullName?: string | null;
  badge?: string | null;
};

export interface People {
  /** @param also - further writes of the same batch. @throws RastroError `name_taken`, `weak_password`, `busy`. */
  add(by: By, person: NewPerson | z.infer<typeof UserAddRequest>, also?: (tx: Tx) => void): Promise<UserRow>;
  /**
   * Ends every session of the name but `keep`, in the same write. @throws RastroError `unknown_name`, `weak_password`,
   * `busy`.
   *
   * @param keep - segment of the session in which it is done.
   */
  setPassword(by: By, name: string, password: string, keep?: string): Promise<void>;
  /** Lets nobody in under the name and ends its sessions, in the same write. @throws RastroError `unknown_name`. */
  lock(by: By, name: string): Promise<void>;
  /** Takes a lock away. Does nothing where there is none. @throws RastroError `unknown_name`. */
  unlock(by: By, name: string): Promise<void>;
  /** @throws RastroError `unknown_name`. */
  setProfile(by: By, name: string, profile: z.infer<typeof PersonProfile>): Promise<void>;
  list(): Promise<UserRow[]>;
  /**
   * Everything that is kept of a person but the sessions, and puts on record who looked.
   *
   * @param who - name or random id. @throws RastroError `unknown_name`.
   */
  show(by: By, who: string): Promise<Omit<PersonData, "sessions">>;
  hasAdministrator(): boolean;
  /** The key under which a service seals what a person wrote, and the login to show. @throws RastroError `unknown_name`. */
  key(sub: string): Promise<z.infer<typeof PersonKey>>;
}

/** People with their passwords and keys. Login names live here alone; everything else knows the random id. */
export function openPeople(o: {
  register: Register;
  keys: PersonKeys;
  passwords: Passwords;
  sessions: Pick<Sessions, "stageEnd">;
  drafts: Drafts;
  /** Puts an event on its way by itself. */
  tell: (event: EventDraft) => Promise<void>;
  now: () => number;
  random: (bytes: number) => Buffer;
}): People {
  const people = () => o.register.all().filter(isPerson);
  const known = (name: string): PersonRecord => {
    const record = o.register.get(name);
    if (record?.kind !== "person") throw unknownName(name);
    return record;
  };
  const event = (type: EventType, by: By, { sub }: PersonRecord, payload: { before?: string; after?: string } = {}) =>
    o.drafts(type, by, { kind: "person", key: sub }, payload);

  async function row(person: PersonRecord): Promise<UserRow> {
    const { name, profile, active, registeredAt } = person;
    const fullName = await open(person, "fullName", person.fullName);
    const badge = await open(person, "badge", person.badge);
    return { name, profile, fullName, badge, active, registeredAt };
  }
  async function open(person: PersonRecord, field: string, sealed: Sealed | null): Promise<string | null> {
    if (sealed === null) return null;
    return unseal(await o.keys.get(person.sub), sealed, `${person.addedBy}/${field}`);
  }

  return {
    async add(by, person, also) {
      refuseIssued(person.password);
      const { name, profile } = person;
      const passwordHash = await o.passwords.hash(person.password);
      const sub = `p-${o.random(16).toString("hex")}`;
      const key = await o.keys.create(sub);
      const draft = o.drafts("user.added", by, { kind: "person", key: sub }, { profile });
      const close = (field: "login" | "fullName" | "badge", text: string | null | undefined) =>
        text ? seal(key, sub, text, `${draft.id}/${field}`) : null;
      const fullName = close("fullName", person.fullName);
      const badge = close("badge", person.badge);
      // So that a book says with the keys alone who an id is, whatever has become of the directory.
      const added = { ...draft, payload: { profile, login: close("login", name), fullName, badge } };
      const record: PersonRecord = {
        v: 1,
        kind: "person",
        name,
        sub,
        profile,
        passwordHash,
        active: true,
        registeredAt: new Date(o.now()).toISOString(),
        fullName,
        badge,
        addedBy: added.id,
      };
      await o.register.add(record, added, also);
      return row(record);
    },

    async setPassword(by, name, password, keep) {
      refuseIssued(password);
      const person = known(name);
      const passwordHash = await o.passwords.hash(password);
      const others: WhichSessions = ({ user, session }) => user === name && session !== keep;
      await o.register.replace(
        name,
        (record) => ({ ...asPerson(record), passwordHash }),
        event("user.password-set", by, person),
        (tx) => o.sessions.stageEnd(tx, others, by, "password-changed"),
      );
    },

    async lock(by, name) {
      const person = known(name);
      if (!person.active) return;
      await o.register.replace(
        name,
        (record) => ({ ...asPerson(record), active: false }),
        event("user.locked", by, person),
        (tx) => o.sessions.stageEnd(tx, ({ user }) => user === name, by, "locked"),
      );
    },

    async unlock(by, name) {
      const person = known(name);
      if (person.active) return;
      const unlocked = event("user.unlocked", by, person);
      await o.register.replace(name, (record) => ({ ...asPerson(record), active: true }), unlocked);
    },

    async setProfile(by, name, profile) {
      const person = known(name);
      if (person.profile === profile) return;
      const set = event("user.profile-set", by, person, { before: person.profile, after: profile });
      await o.register.replace(name, (record) => ({ ...asPerson(record), profile }), set);
    },

    list: () => Promise.all(people().map(row)),

    async show(by, who) {
      const record = o.register.get(who) ?? o.register.bySub(who);
      if (record?.kind !== "person" && record?.kind !== "erased") throw unknownName(who);
      const { sub, profile, active, registeredAt } = record;
      const event = o.drafts("person.shown", by, { kind: "person", key: sub }, {});
      await o.tell(event);
      const kept = { sub, profile, active, registeredAt };
      if (record.kind === "erased") {
        const { erasedAt } = record;
        return { ...kept, name: null, fullName: null, badge: null, erasedAt, password: false };
      }
      const { name, fullName, badge } = await row(record);
      return { ...kept, name, fullName, badge, erasedAt: null, password: true };
    },
    hasAdministrator: () => people().some((person) => person.profile === "administrator" && person.active),

    async key(sub) {
      if (sub === LOCAL_ADMIN) return { sub, key: (await o.keys.ensure(sub)).toString("base64"), name: LOCAL_ADMIN };
      const person = o.register.bySub(sub);
      if (person?.kind !== "person") throw unknownName(sub);
      return { sub, key: (await o.keys.get(sub)).toString("base64"), name: person.name };
    },
  };
}

function isPerson(record: NameRecord): record is PersonRecord {
  return record.kind === "person";
}

function asPerson(record: NameRecord): PersonRecord {
  if (isPerson(record)) return record;
  throw unknownName(record.name);
}

function refuseIssued(password: string): void {
  if (!looksIssued(password)) return;
  throw new RastroError({
    code: "weak_password",
    message: "Setting the password failed: it has the form of a token, which a sign-in could not tell apart.",
    field: "password",
    expected: "a password of one's own choice",
  });
}
