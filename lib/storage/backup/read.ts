import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { z } from "zod";
import { type BackupFault, BackupHeader } from "../../contracts/backup.ts";
import { RastroError } from "../../contracts/errors.ts";
import { Count, Sha256Hex } from "../../contracts/names.ts";
import { parseJson } from "../../contracts/parse.ts";
import {
  decodeRows,
  frameHash,
  type FrameKind,
  type FramePrefix,
  MAGIC,
  parsePrefix,
  PREFIX_LENGTH,
  requireMagic,
} from "./frames.ts";

/** No frame of ours comes near this, before or after compression. */
const LARGEST_FRAME = 1024 * 1024 * 1024;

const decompress = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(gunzip);

const End = z.strictObject({ v: z.literal(1), frames: Count, rows: Count, sha256: Sha256Hex });

/** What a backup consists of, in order: a header, rows, and at last what the reading gave. */
export type BackupPart =
  | { part: "header"; header: BackupHeader }
  | { part: "rows"; rows: [Buffer, Buffer][]; offset: number }
  | { part: "fault"; fault: BackupFault }
  | { part: "end"; rows: number; sha256: string };

/**
 * Reads a backup from beginning to end, in constant memory. A frame that is damaged is named and passed over as long as
 * the next one can be found; only with no fault at all may anything be made of what was read.
 *
 * @throws RastroError `backup_format`, or `backup_damaged` for what is no backup at all; what the disk throws.
 */
export async function* readBackup(file: string): AsyncGenerator<BackupPart, void, undefined> {
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    const frames = new FrameReader(handle, size);
    requireMagic(await frames.take(Math.min(MAGIC.length, size)), basename(file));
    let rows = 0;
    let ended = false;
    for (let frame = await frames.next(); frame !== null; frame = await frames.next()) {
      const part = ended ? faultIn(frame, "there is more after the end") : await openFrame(frame, frames, rows);
      if (part.part === "rows") rows += part.rows.length;
      if (frame.prefix?.kind === "e") ended = true;
      if (part.part !== "end") yield part;
      if (frame.prefix === null) break;
    }
    if (!ended) yield faultAt(frames.offset, frames.index, "the end is missing");
    yield { part: "end", rows, sha256: frames.sha256 };
  } finally {
    await handle.close();
  }
}

/** What a backup says of itself, read without the rest. Null where it cannot be read. */
export async function readHeader(file: string): Promise<BackupHeader | null> {
  const parts = readBackup(file);
  try {
    const first = await parts.next();
    return first.value?.part === "header" ? first.value.header : null;
  } catch {
    return null;
  } finally {
    await parts.return();
  }
}

/** A frame as it lies in the file. `prefix` is null where none could be read: then nothing after it can be found. */
type Frame = { index: number; offset: number; prefix: FramePrefix | null; payload: Buffer; what: string | null };

class FrameReader {
  readonly #handle: FileHandle;
  readonly #size: number;
  readonly #whole: Hash = createHash("sha256");
  index = 0;
  offset = 0;
  /** Over everything before the frame that was read last: the end frame says what it has to be. */
  sha256 = "";

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.#size = size;
  }

  /** Null behind the last byte. */
  async next(): Promise<Frame | null> {
    if (this.offset === this.#size) return null;
    this.sha256 = this.#whole.copy().digest("hex");
    const { index, offset } = this;
    const broken = (what: string): Frame => ({ index, offset, prefix: null, payload: Buffer.alloc(0), what });
    if (this.#size - offset < PREFIX_LENGTH) return broken("it is cut off");
    const prefix = parsePrefix(await this.take(PREFIX_LENGTH));
    if (prefix === null) return broken("no frame begins here");
    if (prefix.length > Math.min(this.#size - this.offset, LARGEST_FRAME)) return broken("it is cut off");
    const payload = await this.take(prefix.length);
    this.index += 1;
    const fits = frameHash(index, prefix.kind, payload).equals(prefix.hash);
    return { index, offset, prefix, payload, what: fits ? null : "its bytes do not hash to what it says" };
  }

  async take(length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length;) {
      const { bytesRead } = await this.#handle.read(bytes, at, length - at, this.offset + at);
      if (bytesRead === 0) throw new Error(`the file became shorter while it was read`);
      at += bytesRead;
    }
    this.offset += length;
    this.#whole.update(bytes);
    return bytes;
  }
}

async function openFrame(frame: Frame, frames: FrameReader, rows: number): Promise<BackupPart> {
  const { prefix, payload, index, offset } = frame;
  if (prefix === null || frame.what !== null) return faultIn(frame, frame.what ?? "it cannot be read");
  if ((index === 0) !== (prefix.kind === "h")) return faultIn(frame, "the header is not where it has to be");
  try {
    return await OPENERS[prefix.kind]({ payload, offset, index, rows, sha256: frames.sha256 });
  } catch (error) {
    return faultIn(frame, error instanceof Error ? error.message : String(error));
  }
}

type Opened = { payload: Buffer; offset: number; index: number; rows: number; sha256: string };

const OPENERS: Record<FrameKind, (frame: Opened) => Promise<BackupPart>> = {
  async h({ payload }) {
    return { part: "header", header: parseJson(BackupHeader, payload, "the header") };
  },
  async r({ payload, offset }) {
    const rows = decodeRows(await decompress(payload, { maxOutputLength: LARGEST_FRAME }));
    if (rows === null) throw new Error("its rows do not end where they have to");
    return { part: "rows", rows, offset };
  },
  async e({ payload, index, rows, sha256 }) {
    const end = parseJson(End, payload, "the end");
    if (end.frames !== index) throw new Error(`the end counts ${end.frames} frames before it, there are ${index}`);
    if (end.rows !== rows) throw new Error(`the end counts ${end.rows} rows, there are ${rows}`);
    if (end.sha256 !== sha256) throw new Error("the whole does not hash to what the end says");
    return { part: "end", rows, sha256 };
  },
};

function faultIn({ offset, index }: Frame, what: string): BackupPart {
  return faultAt(offset, index, what);
}

function faultAt(offset: number, frame: number, what: string): BackupPart {
  return { part: "fault", fault: { offset, frame, what } };
}

/** The error for a backup in which faults were found. */
export function damagedBackup(file: string, faults: readonly BackupFault[]): RastroError {
  const [first] = faults;
  const where = first === undefined ? "" : ` at byte ${first.offset} (frame ${first.frame}): ${first.what}`;
  const message = `Reading the backup ${basename(file)} failed${where}; expected a backup without a fault. Take another one.`;
  return new RastroError({ code: "backup_damaged", message, given: basename(file) });
}
