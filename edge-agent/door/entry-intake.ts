import { createHash } from "node:crypto";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { EventDraft, Receipt } from "../../lib/contracts/events.ts";
import { canonicalBytes } from "../../lib/ledger/canonical.ts";
import type { Outbox } from "../../lib/storage/outbox.ts";
import type { Store, Tx } from "../../lib/storage/store.ts";
import type { ClockState } from "../clock-state.ts";
import type { EntryRequest } from "./entry-request.ts";

export type IntakeOptions = {
  store: Pick<Store, "write">;
  outbox: Pick<Outbox, "stage" | "receiptOf">;
  machine: string;
  /** Zone of the place, for entries that name none. */
  tz: string;
  now: () => number;
  newId: () => string;
  clockState: () => ClockState;
};

export type Saved = { id: string; status: "saved" };

export interface EntryIntake {
  /**
   * Puts entries into the outbox, all or none, and resolves once they are on disk. An entry that is there already with
   * the same content counts as saved.
   *
   * @throws RastroError `id_conflict` when an id was used before with other content.
   */
  save(requests: readonly EntryRequest[]): Promise<Saved[]>;
  /** @throws RastroError `unknown_entry`. */
  statusOf(id: string): Promise<Receipt | "waiting">;
}

/** What was handed in under an id, kept beside the outbox: a receipt does not say what it was for. */
type Seen = { at: string; tz: string; fields: string };

export function createEntryIntake(o: IntakeOptions): EntryIntake {
  const saveOne = (tx: Tx, request: EntryRequest): Saved => {
    const id = request.id ?? o.newId();
    const entry = { at: request.at ?? new Date(o.now()).toISOString(), tz: request.tz ?? o.tz, fields: request.fields };
    const digest = createHash("sha256").update(canonicalBytes(entry.fields)).digest("base64");
    const seen = tx.get(seenKey(id));
    if (seen !== undefined) {
      requireSame(id, request, digest, JSON.parse(seen.toString()) as Seen);
      return { id, status: "saved" };
    }
    tx.put(seenKey(id), Buffer.from(JSON.stringify({ at: entry.at, tz: entry.tz, fields: digest } satisfies Seen)));
    o.outbox.stage(tx, creationDraft(o, id, entry));
    return { id, status: "saved" };
  };
  return {
    save: (requests) => o.store.write((tx) => requests.map((request) => saveOne(tx, request))),
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

function creationDraft(
  { machine, clockState }: IntakeOptions,
  id: string,
  { at, tz, fields }: { at: string; tz: string; fields: EntryRequest["fields"] },
): EventDraft {
  return {
    id,
    type: "entry.created",
    at,
    tz,
    clock: clockState(),
    actor: { sub: machine, auth: "device" },
    obj: { kind: "entry", key: id },
    reason: null,
    payload: { fields },
  };
}

/** Time and zone count only where they are given: who leaves them out hands in "now" each time. */
function requireSame(id: string, request: EntryRequest, digest: string, seen: Seen): void {
  const differs =
    seen.fields !== digest
      ? "fields"
      : request.at !== undefined && request.at !== seen.at
        ? "at"
        : request.tz !== undefined && request.tz !== seen.tz
          ? "tz"
          : null;
  if (differs === null) return;
  throw new RastroError({
    code: "id_conflict",
    message: `Saving entry ${id} failed: the id was used before with other content (${differs}); expected: the same content or a new id.`,
    field: differs,
    given: id,
    expected: "the content that was handed in under this id before",
  });
}
