import type { FileHandle } from "node:fs/promises";
import { LINE_MAXIMUM } from "../../lib/ledger/export-lines.ts";

/** Gives every line, without its line break, to a function until that answers false. */
export type LineSource = (take: (line: Uint8Array) => boolean) => Promise<void>;

const CHUNK = 256 * 1024;

/**
 * The lines of a file, in memory of a fixed size: a line longer than any export has is given cut, which no check takes.
 *
 * @param onRead - told after each chunk how many bytes were read so far.
 */
export function linesOf(file: FileHandle, onRead: (bytes: number) => void = () => {}): LineSource {
  return async (take) => {
    const buffer = Buffer.allocUnsafe(LINE_MAXIMUM + 1 + CHUNK);
    let held = 0;
    let read = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, held, CHUNK, read);
      if (bytesRead === 0) break;
      read += bytesRead;
      onRead(read);
      const end = held + bytesRead;
      const begin = giveWholeLines(buffer.subarray(0, end), take);
      if (begin === null) return;
      buffer.copyWithin(0, begin, end);
      held = end - begin;
      if (held > LINE_MAXIMUM) break;
    }
    if (held > 0) take(buffer.subarray(0, held));
  };
}

/** @returns where the line begins that is not whole yet; null when no more lines are wanted. */
function giveWholeLines(bytes: Buffer, take: (line: Uint8Array) => boolean): number | null {
  let begin = 0;
  for (let at = bytes.indexOf(0x0a); at !== -1; at = bytes.indexOf(0x0a, begin)) {
    if (!take(bytes.subarray(begin, at))) return null;
    begin = at + 1;
  }
  return begin;
}
