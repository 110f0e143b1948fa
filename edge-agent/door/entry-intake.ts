import { createHash } from "node:crypto";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { EventDraft, Receipt } from "../../lib/contracts/events.ts";
import { canonicalBytes } from "../../lib/ledger/canonical.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";
import type { Store, Tx } from "../../lib/storage/store/store.ts";
import type { Breathe } from "../breathe.ts";
import type { ClockState } from "../clock-state.ts";
import { type EntryRequest, SLICE } from "./entry-request.ts";

export type IntakeOptions = {
  store: Pick<Store, "write" | "getNow">;
  outbox: Pick<Outbox, "stage" | "receiptOf">;
  machine: string;
  /** Zone of the place, for entries that name none. */
  tz: string;
  now: () => number;
  newId: () => string;
  clockState: () => ClockState;
  breathe: Breathe;
};

/** Who hands entries in, where it is not the machine itself. */
export type HandedInBy = {
  actor: EventDraft["actor"];
  /** Called for each entry that is new, in the batch that saves it: what it throws undoes that. */
  alongside: (tx: Tx, entry: { id: string; at: string; tz: string; fields: EntryRequest["fields"] }) => void;
};

export type Saved = { id: string; status: "saved" };

export interface EntryIntake {
  /**
   * Puts entries into the outbox, in order, and resolves once all are on disk. An entry that is there already with the
   * same content counts as saved.
   *
   * They are looked at first and then written in slices, each of which is on disk whole or not at all: signing a
   * thousand takes 80 ms, and the status must go out meanwhile. So a crash or a full disk can leave the first slices
   * saved; handing in again under the same ids saves the rest.
   *
   * @param by - left out: the machine.
   * @throws RastroError `id_conflict` when an id was used before, or in this batch, with other content; nothing of the
   *   batch is saved then.
   */
  save(requests: readonly EntryRequest[], by?: HandedInBy): Promise<Saved[]>;
  /** @throws RastroError `unknown_entry`. */
  statusOf(id: string): Promise<Receipt | "waiting">;
  /** In the order of the ids; null for one that was not handed in here, or whose receipt was put away. */
  statusesOf(ids: readonly string[]): Promise<{ id: string; status: Receipt | "waiting" | null }[]>;
}

/** What was handed in under an id, kept beside the outbox: a receipt does not say what it was for. */
type Seen = { at: string; tz: string; /** SHA-256 of the canonical fields. */ fields: string };

type Entry = {
  id: string;
  fields: EntryRequest["fields"];
  /** What the request named itself. */
  given: { at: boolean; tz: boolean };
  seen: Seen;
};

export function createEntryIntake(o: IntakeOptions): EntryIntake {
  const stage = (tx: Tx, entry: Entry, by: HandedInBy): Saved => {
    const known = seenIn(tx.get(seenKey(entry.id)));
    if (known === null) {
      tx.put(seenKey(entry.id), Buffer.from(JSON.stringify(entry.seen)));
      o.outbox.stage(tx, creationDraft(o, entry, by.actor));
      by.alongside(tx, { id: entry.id, at: entry.seen.at, tz: entry.seen.tz, fields: entry.fields });
    } else {
      requireSame(entry, known);
    }
    return { id: entry.id, status: "saved" };
  };
  const machineItself: HandedInBy = { actor: { sub: o.machine, auth: "device" }, alongside: () => undefined };
  return {
    save: async (requests, by = machineItself) => {
      const slices: Entry[][] = [];
      const ofBatch = new Map<string, Seen>();
      for (let from = 0; from < requests.length; from += SLICE) {
        if (from > 0) await o.breathe();
        const slice = requests.slice(from, from + SLICE).map((request) => entryOf(o, request));
        for (const entry of slice) {
          const known = ofBatch.get(entry.id) ?? lookUp(o, entry.id);
          if (known !== null) requireSame(entry, known);
          ofBatch.set(entry.id, known ?? entry.seen);
        }
        slices.push(slice);
      }
      const saved: Saved[] = [];
      for (const slice of slices)
        saved.push(...(await o.store.write((tx) => slice.map((entry) => stage(tx, entry, by)))));
      return saved;
    },
    statusesOf: async (ids) => {
      const statuses: Awaited<ReturnType<EntryIntake["statusesOf"]>> = [];
      for (const [index, id] of ids.entries()) {
        if (index % SLICE === SLICE - 1) await o.breathe();
        statuses.push({ id, status: (await o.outbox.receiptOf(id)) ?? null });
      }
      return statuses;
    },
    statusOf: async (id) => {
      const status = await o.outbox.receiptOf(id);
      if (status !== undefined) return status;
      throw new RastroError({
        code: "unknown_entry",
        message: `Looking for entry ${id} failed: it was not handed in here, or its receipt is so old that it was put away.`,
        field: "id",
        given: id,
        expected: "the id of an entry that was handed in here",
      });
    },
  };
}

/** Where the outbox's store keeps what was handed in under an id. */
export const SEEN_PREFIX = "sdoor/";

export function seenKey(id: string): Buffer {
  return Buffer.from(SEEN_PREFIX + id);
}

/** A store that cannot be read is no reason to stop: the write opens it anew, looks again, and tells what is wrong. */
function lookUp({ store }: IntakeOptions, id: string): Seen | null {
  try {
    return seenIn(store.getNow(seenKey(id)));
  } catch {
    return null;
  }
}

function seenIn(bytes: Buffer | undefined): Seen | null {
  return bytes === undefined ? null : (JSON.parse(bytes.toString()) as Seen);
}

function entryOf({ now, tz, newId }: IntakeOptions, request: EntryRequest): Entry {
  const { fields } = request;
  return {
    id: request.id ?? newId(),
    fields,
    given: { at: request.at !== undefined, tz: request.tz !== undefined },
    seen: {
      at: request.at ?? new Date(now()).toISOString(),
      tz: request.tz ?? tz,
      fields: createHash("sha256").update(canonicalBytes(fields)).digest("base64"),
    },
  };
}

function creationDraft(
  { clockState }: IntakeOptions,
  { id, fields, seen }: Entry,
  actor: EventDraft["actor"],
): EventDraft {
  return {
    id,
    type: "entry.created",
    at: seen.at,
    tz: seen.tz,
    clock: clockState(),
    actor,
    obj: { kind: "entry", key: id },
    reason: null,
    payload: { fields },
  };
}

/** Time and zone count only where they are given: who leaves them out hands in "now" each time. */
function requireSame({ id, given, seen }: Entry, known: Seen): void {
  const differs = differenceOf(given, seen, known);
  if (differs === null) return;
  throw new RastroError({
    code: "id_conflict",
    message: `Saving entry ${id} failed: the id was used before with other content (${differs}); expected: the same content or a new id.`,
    field: differs,
    given: id,
    expected: "the content that was handed in under this id before",
  });
}

function differenceOf(given: Entry["given"], seen: Seen, known: Seen): keyof Seen | null {
  if (seen.fields !== known.fields) return "fields";
  if (given.at && seen.at !== known.at) return "at";
  return given.tz && seen.tz !== known.tz ? "tz" : null;
}
