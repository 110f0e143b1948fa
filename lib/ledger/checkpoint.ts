import type { KeyObject } from "node:crypto";
import { cosignedAt } from "./cosignature.ts";
import { LedgerError } from "./error.ts";
import { EMPTY_ROOT, HASH_LENGTH } from "./hash.ts";
import {
  formatNote,
  judgeSignature,
  noteKeyId,
  parseNote,
  type SignedNote,
  signNote,
  type VerifierKey,
} from "./signed-note.ts";

/*
 * Checkpoints (C2SP tlog-checkpoint v1.0.0): what a log was at one size, signed by it.
 */

/** What a log was at one moment. Those of this project have no extension lines. */
export type TreeHead = { origin: string; size: number; root: Buffer; extensions: readonly string[] };

/** A checkpoint that was read: what it says, and the note that says so. */
export type Checkpoint = { head: TreeHead; note: SignedNote };

/** A witness and when it cosigned, in whole seconds since 1970. */
export type Cosigner = { witness: VerifierKey; time: number };

/**
 * The text of a checkpoint: origin, size in decimal, root in base64, and extensions, a line each.
 *
 * @throws LedgerError `bad-note` for an origin that is empty or has blanks, a size that no log has, a root of another
 *   length.
 */
export function formatTreeHead(head: Omit<TreeHead, "extensions"> & { extensions?: readonly string[] }): string {
  const { origin, size, root, extensions = [] } = head;
  const isHead =
    isOrigin(origin) &&
    Number.isSafeInteger(size) &&
    size >= 0 &&
    root.length === HASH_LENGTH &&
    extensions.every((line) => line.length > 0 && !line.includes("\n"));
  if (!isHead) throw new LedgerError("bad-note", `Writing a checkpoint of "${origin}" at size ${size} failed.`);
  return [origin, size, root.toString("base64"), ...extensions].map((line) => `${line}\n`).join("");
}

/**
 * Reads what {@link formatTreeHead} wrote.
 *
 * @throws LedgerError `bad-note` for anything else; also for an empty log with another root than that of nothing.
 */
export function parseTreeHead(text: string): TreeHead {
  const [origin = "", size = "", root = "", ...rest] = text.split("\n");
  const head = {
    origin,
    size: /^(?:0|[1-9]\d{0,15})$/.test(size) ? Number(size) : -1,
    root: Buffer.from(root, "base64"),
    extensions: rest.slice(0, -1),
  };
  if (!isOrigin(origin) || head.root.length !== HASH_LENGTH || head.size < 0 || formatOrNull(head) !== text) {
    throw new LedgerError(
      "bad-note",
      "Reading a checkpoint failed: expected origin, size and root in base64, a line each.",
    );
  }
  return head;
}

/** Whether an empty log has the root of nothing (RFC 9162 §2.1.1); any other may have any root. */
export function hasFittingRoot({ size, root }: Pick<TreeHead, "size" | "root">): boolean {
  return size > 0 || root.equals(EMPTY_ROOT);
}

/**
 * A checkpoint signed by the log's keys, the first of which is the one in use; the log's origin is their name.
 *
 * @param keyIdOf - for whoever signs thousands a second and keeps what {@link noteKeyId} says.
 */
export function signCheckpoint(
  head: Omit<TreeHead, "extensions">,
  privateKeys: readonly KeyObject[],
  keyIdOf: (privateKey: KeyObject) => number = (privateKey) => noteKeyId(head.origin, privateKey),
): string {
  const text = formatTreeHead(head);
  const name = head.origin;
  const signatures = privateKeys.map((key) => signNote(text, { name, privateKey: key, keyId: keyIdOf(key) }));
  return formatNote({ text, signatures });
}

/**
 * Reads a checkpoint. Says nothing of its signatures: see {@link signedBy}, {@link cosignersOf}.
 *
 * @throws LedgerError `bad-note`.
 */
export function parseCheckpoint(text: string): Checkpoint {
  const note = parseNote(text);
  return { head: parseTreeHead(note.text), note };
}

/**
 * Which of a log's known keys signed a checkpoint; none when a line of a known key does not fit, since the whole note
 * is malformed then.
 */
export function signedBy(checkpoint: Checkpoint, logKeys: readonly VerifierKey[]): VerifierKey[] {
  const ours = logKeys.filter(({ name }) => name === checkpoint.head.origin);
  const judged = ours.map((key) => ({ key, judgement: judgeSignature(checkpoint.note, key) }));
  if (judged.some(({ judgement }) => judgement === "wrong")) return [];
  return judged.filter(({ judgement }) => judgement === "fits").map(({ key }) => key);
}

/** The known witnesses that cosigned, each with its time. One whose line does not fit is left out. */
export function cosignersOf({ note }: Checkpoint, witnesses: readonly VerifierKey[]): Cosigner[] {
  return witnesses.flatMap((witness) => {
    const time = cosignedAt(note, witness);
    return typeof time === "number" ? [{ witness, time }] : [];
  });
}

function isOrigin(origin: string): boolean {
  return origin.length > 0 && origin.isWellFormed() && !/[\s+]|\p{Cc}/u.test(origin);
}

function formatOrNull(head: TreeHead): string | null {
  try {
    return formatTreeHead(head);
  } catch {
    return null;
  }
}
