import { Findings, hex, type Place, recordAt } from "./findings.ts";
import { EMPTY_ROOT } from "./hash.ts";
import type { HeadNote } from "./head-note.ts";
import type { CheckedSignatures } from "./signature-check.ts";
import { rootOf } from "./tree.ts";
import { type KnownRoot, type StoredBook, Walk, type WalkInput } from "./walk.ts";

export type { Finding, Place } from "./findings.ts";
export type { StoredBook } from "./walk.ts";

export type VerifyInput = {
  stored: StoredBook;
  /** The store's own idea of its head. */
  head: WalkInput["head"];
  /** One more than the highest record number that the store has. */
  reach: number;
  /** The head note; null where there is none to compare with, `missing` or `unreadable` where there should be one. */
  note: HeadNote | null | "missing" | "unreadable";
  /** The raw public key of a name; null when it is not known. */
  keyOf: (name: string) => Uint8Array | null;
  /** What else is known of the book at a size. */
  known?: readonly KnownRoot[];
  /** The first record to be walked; what lies before it is taken from the tree as it is. */
  from?: number;
};

export type VerifyOutcome = {
  findings: Findings;
  size: number;
  /** Root over the leaves as the tree has them; over those before the first unknown one where a leaf is not known. */
  root: Buffer;
  signatures: CheckedSignatures;
};

/**
 * Walks the records of a book in order and compares each with the tree, its neighbours, the head and what is known of
 * the book elsewhere.
 *
 * Yields the number of the next record after each, so that the caller can let other work in.
 */
export function* verifyRecords(input: VerifyInput): Generator<number, VerifyOutcome> {
  const verification = beginVerification(input);
  yield* verification.walk.over(verification.from, verification.size);
  return verification.finish();
}

/** A verification that its caller takes through the book, from `from` to `size`, in whatever steps. */
export type BegunVerification = { walk: Walk; findings: Findings; from: number; size: number; finish(): VerifyOutcome };

/** Looks at the ends of a book, before its records are walked, and again after that. */
export function beginVerification(input: VerifyInput): BegunVerification {
  const { head, note, reach } = input;
  const findings = new Findings();
  const size = Math.max(head.size, reach);
  const from = Math.min(input.from ?? 0, size);
  if (reach > head.size)
    findings.report(head.size, "index", { at: "head" }, `a head over ${reach} records`, `one over ${head.size}`);
  if (note === "missing" && size > 0) findings.report(size, "missing", { at: "note" }, "a head note", "nothing");
  if (note === "unreadable")
    findings.report(size, "altered", { at: "note" }, "the head note of this book", "other bytes");
  const known = [...(input.known ?? []), ...knownByNote(note)];
  const walk = new Walk({ ...input, known, findings }, from);
  return {
    walk,
    findings,
    from,
    size,
    finish() {
      reportEnd(input, walk, findings, size);
      return { findings, size, root: walk.root, signatures: walk.signatures.counts };
    },
  };
}

function knownByNote(note: VerifyInput["note"]): KnownRoot[] {
  return note === null || typeof note === "string" ? [] : [{ size: note.size, root: note.root, place: { at: "note" } }];
}

function reportEnd({ head, note, reach, known = [] }: VerifyInput, walk: Walk, findings: Findings, size: number): void {
  const noted = note !== null && typeof note === "object" ? note.size : 0;
  if (reach < head.size) {
    const last = Math.max(head.size, noted) - 1;
    findings.report(reach, "truncated", recordAt(reach), `records up to ${last}`, "nothing");
  } else if (noted > size) {
    findings.report(size, "truncated", recordAt(size), `${noted} records by the head note`, `${size} records`);
  } else {
    const more = known.find((one) => one.size > size);
    if (more !== undefined)
      findings.report(
        size,
        "truncated",
        recordAt(size),
        `${more.size} records by ${BY[more.place.at] ?? "a note"}`,
        `${size} records`,
      );
  }
  const headRoot = head.range === null ? EMPTY_ROOT : rootOf(head.range);
  if (walk.isRootKnown && head.size === size && !walk.root.equals(headRoot)) {
    findings.report(Math.max(0, size - 1), "index", { at: "head" }, hex(walk.root), hex(headRoot));
  }
}

const BY: Partial<Record<Place["at"], string>> = { checkpoint: "a checkpoint", verified: "an earlier verification" };
