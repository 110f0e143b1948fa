import { HASH_LENGTH, sha256 } from "../../ledger/hash.ts";
import { idBytes, idText } from "../keys.ts";

/** An event as the outbox keeps it: `text` is its canonical form, the bytes that are signed. */
export type StagedEvent = { id: string; text: Buffer };

const ID_LENGTH = 16;
const PREFIX_LENGTH = ID_LENGTH + HASH_LENGTH;

/** SHA-256 of what follows, then the id, then the event's canonical text. */
export function encodeStaged(id: string, text: string): Buffer {
  const bytes = Buffer.allocUnsafe(PREFIX_LENGTH + Buffer.byteLength(text));
  bytes.set(idBytes(id), HASH_LENGTH);
  bytes.write(text, PREFIX_LENGTH, "utf8");
  bytes.set(sha256(bytes.subarray(HASH_LENGTH)), 0);
  return bytes;
}

/**
 * Null when nothing is there, and when it is not what was staged: it is signed only when it is sent, and a disk's
 * fault must not get a signature.
 */
export function decodeStaged(bytes: Buffer | undefined): StagedEvent | null {
  if (bytes === undefined || bytes.length < PREFIX_LENGTH) return null;
  const kept = bytes.subarray(HASH_LENGTH);
  if (!sha256(kept).equals(bytes.subarray(0, HASH_LENGTH))) return null;
  return { id: idText(kept), text: kept.subarray(ID_LENGTH) };
}
