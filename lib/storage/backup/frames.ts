import { createHash } from "node:crypto";
import { RastroError } from "../../contracts/errors.ts";
import { writeU64 } from "../keys.ts";

/*
 * The file of a backup: a first line, then frames. Each frame carries the SHA-256 of its number, kind, length and
 * bytes, so that damage is located, and frames that were swapped, repeated or left out are seen. docs/ledger-format.md
 * has the format.
 */

/** The first 16 bytes; the digit is the version of the format. */
export const MAGIC: Buffer = Buffer.from("RASTRO-BACKUP 1\n");

const MAGIC_BEGINNING = "RASTRO-BACKUP ";

/** Header (first), rows, end (last). */
export type FrameKind = "h" | "r" | "e";

/** Kind, length and hash. */
export const PREFIX_LENGTH: number = 1 + 4 + 32;

/** What stands before a frame's bytes. */
export type FramePrefix = { kind: FrameKind; length: number; hash: Buffer };

/** @param index - number of the frame in the file, from 0. */
export function framePrefix(index: number, kind: FrameKind, payload: Uint8Array): Buffer {
  const prefix = Buffer.allocUnsafe(PREFIX_LENGTH);
  prefix.write(kind, 0, "latin1");
  prefix.writeUInt32BE(payload.length, 1);
  prefix.set(frameHash(index, kind, payload), 5);
  return prefix;
}

/** Null when the bytes are no prefix of a frame. */
export function parsePrefix(bytes: Buffer): FramePrefix | null {
  const kind = bytes.toString("latin1", 0, 1);
  if (bytes.length !== PREFIX_LENGTH || (kind !== "h" && kind !== "r" && kind !== "e")) return null;
  return { kind, length: bytes.readUInt32BE(1), hash: bytes.subarray(5) };
}

/** SHA-256(u64 index ‖ kind ‖ u32 length ‖ payload). */
export function frameHash(index: number, kind: FrameKind, payload: Uint8Array): Buffer {
  const head = Buffer.allocUnsafe(8 + 1 + 4);
  writeU64(head, index, 0);
  head.write(kind, 8, "latin1");
  head.writeUInt32BE(payload.length, 9);
  return createHash("sha256").update(head).update(payload).digest();
}

/**
 * @param place - names the file in the message.
 * @throws RastroError `backup_format` for another version, `backup_damaged` for what is no backup.
 */
export function requireMagic(bytes: Buffer, place: string): void {
  if (bytes.equals(MAGIC)) return;
  const version = /^RASTRO-BACKUP (\d)\n$/.exec(bytes.toString("latin1"))?.[1];
  if (version !== undefined) {
    const message = `Reading the backup ${place} failed: its format is ${version}, expected 1. Use the version of Rastro that wrote it.`;
    throw new RastroError({ code: "backup_format", message, given: version, expected: "1" });
  }
  const message = `Reading the backup ${place} failed: it does not begin with "${MAGIC_BEGINNING}".`;
  throw new RastroError({ code: "backup_damaged", message, given: place });
}

/** A row as it lies in a frame of rows: u32 length of key, u32 length of value, key, value. */
export function encodeRow(key: Uint8Array, value: Uint8Array): Buffer {
  const row = Buffer.allocUnsafe(8 + key.length + value.length);
  row.writeUInt32BE(key.length, 0);
  row.writeUInt32BE(value.length, 4);
  row.set(key, 8);
  row.set(value, 8 + key.length);
  return row;
}

/** The rows of a frame; null when its bytes do not end where a row ends. */
export function decodeRows(bytes: Buffer): [Buffer, Buffer][] | null {
  const rows: [Buffer, Buffer][] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 8 > bytes.length) return null;
    const keyEnd = at + 8 + bytes.readUInt32BE(at);
    const end = keyEnd + bytes.readUInt32BE(at + 4);
    if (end > bytes.length) return null;
    rows.push([bytes.subarray(at + 8, keyEnd), bytes.subarray(keyEnd, end)]);
    at = end;
  }
  return rows;
}
