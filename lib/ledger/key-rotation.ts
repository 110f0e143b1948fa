import type { KeyObject } from "node:crypto";
import { LedgerError } from "./error.ts";
import { rawPublicKey } from "./signature.ts";
import {
  formatNote,
  formatVerifierKey,
  judgeSignature,
  parseNote,
  parseVerifierKey,
  SIGNATURE_TYPES,
  signNote,
  type VerifierKey,
  verifierKey,
} from "./signed-note.ts";

/*
 * How a log changes its key: a note that names the new key, signed by the old one and by the new one. Whoever trusts a
 * key of a log can follow the notes from there to the newest.
 */

const FIRST_LINE = "rastro/log-key-rotation@v1";

/** The key by which a log is known: its name is the log's origin. */
export function logKey(origin: string, publicRaw: Uint8Array): VerifierKey {
  return verifierKey(origin, SIGNATURE_TYPES.ed25519, publicRaw);
}

/** The note by which the old key hands over to the new one, which shows with its own signature that somebody holds it. */
export function formatRotation(origin: string, keys: { from: KeyObject; to: KeyObject }): string {
  const [from, to] = [logKey(origin, rawPublicKey(keys.from)), logKey(origin, rawPublicKey(keys.to))];
  const text = `${FIRST_LINE}\n${origin}\n${formatVerifierKey(from)}\n${formatVerifierKey(to)}\n`;
  const signatures = [keys.from, keys.to].map((privateKey) => signNote(text, { name: origin, privateKey }));
  return formatNote({ text, signatures });
}

/**
 * Follows rotations from a key that is trusted.
 *
 * @param rotations - all of the log's, the oldest first, in whatever state they came.
 * @returns the trusted key and those that follow from it, the newest last.
 * @throws LedgerError `bad-note` for a rotation that hands over from a key of the row and is not signed by both.
 */
export function followRotations(trusted: VerifierKey, rotations: readonly string[]): VerifierKey[] {
  const row = [trusted];
  for (const rotation of rotations.map(parseRotation)) {
    const last = row.at(-1) ?? trusted;
    if (!sameKey(rotation.from, last)) continue;
    const isSigned = [rotation.from, rotation.to].every((key) => judgeSignature(rotation.note, key) === "fits");
    if (!isSigned) throw badRotation("it is not signed by the old and the new key");
    row.push(rotation.to);
  }
  return row;
}

function parseRotation(text: string) {
  const note = parseNote(text);
  const [first, origin, from, to, end, ...rest] = note.text.split("\n");
  if (first !== FIRST_LINE || from === undefined || to === undefined || end !== "" || rest.length > 0) {
    throw badRotation(`expected ${FIRST_LINE}, the origin, the old and the new key`);
  }
  const keys = { from: parseVerifierKey(from), to: parseVerifierKey(to) };
  if ([keys.from, keys.to].some(({ name, type }) => name !== origin || type !== SIGNATURE_TYPES.ed25519)) {
    throw badRotation("its keys are of another log");
  }
  return { ...keys, note };
}

function sameKey(one: VerifierKey, other: VerifierKey): boolean {
  return one.name === other.name && one.publicRaw.equals(other.publicRaw);
}

function badRotation(why: string): LedgerError {
  return new LedgerError("bad-note", `Reading the rotation of a log's key failed: ${why}.`);
}
