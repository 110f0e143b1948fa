import { z } from "zod";
import { RastroError } from "../../lib/contracts/errors.ts";
import { Instant, PersonId, Uuid7 } from "../../lib/contracts/names.ts";
import { OPERATIONS } from "../../lib/contracts/operations.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import { EntryFields } from "../../lib/contracts/production.ts";
import {
  StationAuth,
  type StationEntries,
  type StationEntriesQuery,
  type StationEntry,
  type stationEntry,
} from "../../lib/contracts/station.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";
import type { Store, Tx } from "../../lib/storage/store/store.ts";
import type { Breathe } from "../breathe.ts";
import type { EntryIntake } from "../door/entry-intake.ts";
import type { KeptChoices } from "./choices.ts";
import type { Person } from "./sign-in.ts";

type NewEntry = z.infer<ReturnType<typeof stationEntry>>;

/** What the station remembers of an entry, beside the outbox, as long as that keeps it. */
const Made = z.strictObject({
  at: Instant,
  fields: EntryFields,
  sub: PersonId,
  auth: StationAuth,
  mends: Uuid7.nullable(),
  mendedBy: Uuid7.nullable(),
});
type Made = z.infer<typeof Made>;

/** Where the outbox's store keeps what was made at the station, by id and so in the order in which it was made. */
export const MADE_PREFIX = "sstation/e/";
const PAGE = 50;
/** Entries that one question looks through; it says where to go on. */
const LOOKED_THROUGH = 1000;
const SLICE = 16;

export interface StationEntriesPort {
  /**
   * Saves an entry in the person's name: on disk when it resolves, whether or not the hub is there. The same again counts
   * as saved.
   *
   * @throws RastroError `not_allowed` for a profile that makes no entries, `id_conflict`; for one that mends,
   *   `unknown_entry` when there is no such refused entry here, `id_conflict` when it was mended already.
   */
  save(person: Person, entry: NewEntry): Promise<StationEntry>;
  list(person: Person, query: z.infer<typeof StationEntriesQuery>): Promise<StationEntries>;
  /** @throws RastroError `unknown_entry`. */
  one(person: Person, id: string): Promise<StationEntry>;
}

/** The entries that people make at the station: the door's own intake, with a person as the actor. */
export function createStationEntries(o: {
  store: Store;
  outbox: Pick<Outbox, "receiptOf">;
  intake: Pick<EntryIntake, "save">;
  choices: Pick<KeptChoices, "note">;
  breathe: Breathe;
}): StationEntriesPort {
  const shown = async (person: Person, id: string, made: Made): Promise<StationEntry> => {
    const { sub, ...rest } = made;
    return { id, ...rest, mine: sub === person.sub, status: (await o.outbox.receiptOf(id)) ?? null };
  };
  const one = async (person: Person, id: string) => {
    const bytes = await o.store.get(keyOf(id));
    if (bytes === undefined) throw notHere(id);
    return shown(person, id, decode(bytes));
  };

  return {
    one,
    async save(person, { id, at, mends, fields }) {
      requireWriter(person);
      if (mends !== undefined) await requireRefused(o.outbox, mends);
      const alongside = (tx: Tx, entry: { at: string }) => {
        if (mends !== undefined) markMended(tx, mends, id);
        const { sub, auth } = person;
        const made: Made = { at: entry.at, fields, sub, auth, mends: mends ?? null, mendedBy: null };
        tx.put(keyOf(id), Buffer.from(JSON.stringify(made)));
        o.choices.note(tx, [fields]);
      };
      const actor = { sub: person.sub, auth: person.auth };
      await o.intake.save([{ id, fields, ...(at === undefined ? {} : { at }) }], { actor, alongside });
      return one(person, id);
    },
    async list(person, { show, after }) {
      const range = { gte: Buffer.from(MADE_PREFIX), lt: after === undefined ? END : keyOf(after) };
      const entries: StationEntry[] = [];
      let looked = 0;
      for await (const [key, bytes] of o.store.range({ ...range, reverse: true, limit: LOOKED_THROUGH })) {
        const id = key.toString().slice(MADE_PREFIX.length);
        const entry = await shown(person, id, decode(bytes));
        if (isWanted(entry, show)) entries.push(entry);
        looked += 1;
        if (entries.length === PAGE || looked === LOOKED_THROUGH) return { entries, next: id };
        if (looked % SLICE === 0) await o.breathe();
      }
      return { entries, next: null };
    },
  };
}

function isWanted({ status, mendedBy }: StationEntry, show: z.infer<typeof StationEntriesQuery>["show"]): boolean {
  if (show === "all") return true;
  if (show === "waiting") return status === "waiting";
  return typeof status === "object" && status !== null && status.status !== "booked" && mendedBy === null;
}

/** The book refuses an entry by somebody who may make none; that is better heard at the form. */
function requireWriter({ user, profile }: Person): void {
  const writers: readonly string[] = OPERATIONS.production["entry-add"].profiles;
  if (writers.includes(profile)) return;
  throw new RastroError({
    code: "not_allowed",
    message: `Saving an entry of ${user} failed: profile ${profile} may not make entries.`,
    field: "profile",
    given: profile,
    expected: `one of ${writers.join(", ")}`,
  });
}

async function requireRefused(outbox: Pick<Outbox, "receiptOf">, id: string): Promise<void> {
  const receipt = await outbox.receiptOf(id);
  if (typeof receipt === "object" && receipt.status !== "booked") return;
  throw new RastroError({
    code: "unknown_entry",
    message: `Mending entry ${id} failed: no entry of this id was made here and refused.`,
    field: "mends",
    given: id,
    expected: "the id of an entry that was refused",
  });
}

function markMended(tx: Tx, id: string, by: string): void {
  const bytes = tx.get(keyOf(id));
  if (bytes === undefined) throw notHere(id);
  const made = decode(bytes);
  if (made.mendedBy !== null) {
    throw new RastroError({
      code: "id_conflict",
      message: `Mending entry ${id} failed: entry ${made.mendedBy} was made in its place already.`,
      field: "mends",
      given: id,
      expected: "an entry that nobody has mended",
    });
  }
  tx.put(keyOf(id), Buffer.from(JSON.stringify({ ...made, mendedBy: by })));
}

function notHere(id: string): RastroError {
  return new RastroError({
    code: "unknown_entry",
    message: `Looking for entry ${id} failed: it was not made at this station, or its receipt is so old that it was put away.`,
    field: "id",
    given: id,
    expected: "the id of an entry that was made here",
  });
}

const END = Buffer.from(`${MADE_PREFIX}~`);

function keyOf(id: string): Buffer {
  return Buffer.from(MADE_PREFIX + id);
}

function decode(bytes: Buffer): Made {
  return parseJson(Made, bytes, "an entry of the station");
}
