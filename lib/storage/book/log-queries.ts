import type { EventDraft } from "../../contracts/events.ts";
import { RastroError } from "../../contracts/errors.ts";
import type { RequestOf, ResponseOf } from "../../contracts/operations.ts";
import type { Justification } from "../../contracts/production.ts";
import { formatVerifierKey, type VerifierKey } from "../../ledger/signed-note.ts";
import type { Book } from "./book.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { type KeysOfPeople, sealReason } from "../people/sealed-reason.ts";

type LogOperation = "book-checkpoint" | "book-consistency" | "book-keys" | "book-rotate-key";

type Caller = { sub: string; auth: EventDraft["actor"]["auth"] };

/** The handlers of what every book answers as a log; the bodies are those of `contracts/operations/book.ts`. */
export type LogQueries = {
  [O in LogOperation]: (body: RequestOf<"audit", O>, caller: Caller) => Promise<ResponseOf<"audit", O>>;
};

/** What has to be done with the keys of a log; those in `lib/runtime` have this shape. */
export type RotatingKeys = {
  known: () => readonly VerifierKey[];
  rotations: () => readonly string[];
  rotate: () => Promise<{ from: string; to: string }>;
  retire: () => Promise<boolean>;
};

/**
 * @param o.tell - puts it on record in the audit book that a key was changed.
 */
export function logQueries(o: {
  book: Book;
  checkpoints: Checkpoints;
  keys: RotatingKeys;
  personKeys: KeysOfPeople;
  tell: (draft: EventDraft) => Promise<unknown>;
  newId: () => string;
  now: () => number;
  tz: string;
}): LogQueries {
  const { book, keys } = o;
  const vkeys = () => keys.known().map(formatVerifierKey);

  async function changed(caller: Caller, reason: Justification, change: Pick<EventDraft, "type" | "payload">) {
    const id = o.newId();
    const person = await o.personKeys.of(caller.sub);
    await o.tell({
      ...change,
      id,
      at: new Date(o.now()).toISOString(),
      tz: o.tz,
      clock: { source: "unknown", offsetMs: null },
      actor: caller,
      obj: { kind: "book", key: book.name },
      reason: {
        code: reason.code,
        text: person === null ? null : sealReason(person.key, caller.sub, reason.text, id),
      },
    });
  }

  async function rotate(caller: Caller, reason: Justification): Promise<void> {
    const { from, to } = await keys.rotate();
    await book.signAnew();
    await o.checkpoints.issue();
    await changed(caller, reason, {
      type: "log-key.rotated",
      payload: { from, to, rotation: keys.rotations().at(-1) ?? "" },
    });
  }

  async function retire(caller: Caller, reason: Justification): Promise<void> {
    const last = keys.known().at(-1);
    if (last === undefined || !(await keys.retire())) {
      const message = `Retiring a key of the book ${book.name} failed: no rotation is under way, expected one before.`;
      throw new RastroError({ code: "no_rotation", message });
    }
    await changed(caller, reason, { type: "log-key.retired", payload: { key: formatVerifierKey(last) } });
  }

  return {
    "book-checkpoint": async () => ({ note: o.checkpoints.latest()?.note ?? null }),
    "book-consistency": async ({ first, second }) => ({ path: book.consistency(first, second) }),
    "book-keys": async () => ({ keys: vkeys(), rotations: [...keys.rotations()] }),
    "book-rotate-key": async ({ step, reason }, { sub, auth }) => {
      await (step === "rotate" ? rotate : retire)({ sub, auth }, reason);
      return { keys: vkeys() };
    },
  };
}
