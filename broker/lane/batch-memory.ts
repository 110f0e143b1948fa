/** Written once and then read by sockets until each of them has sent it: never used again, left to the collector. */
const BLOCK_BYTES = 256 * 1024;

/** Where frames are put side by side, so that one write carries them and all readers share the bytes. */
export interface BatchMemory {
  /** Frames since the last {@link take}. */
  readonly frames: number;
  /** Whether so many more bytes fit behind what is there. */
  fits(bytes: number): boolean;
  /** Appends `source[start, end)` with another first byte. @returns where the frame begins, for {@link frame}. */
  append(firstByte: number, source: Uint8Array, start: number, end: number): void;
  /** What was appended since the last call, as one run of bytes; empty when there is nothing. */
  take(): Buffer;
}

export function createBatchMemory(): BatchMemory {
  let block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let from = 0;
  let to = 0;
  let frames = 0;
  return {
    get frames() {
      return frames;
    },
    fits: (bytes) => to + bytes <= BLOCK_BYTES,
    append(firstByte, source, start, end) {
      block.set(source.subarray(start, end), to);
      block[to] = firstByte;
      to += end - start;
      frames += 1;
    },
    take() {
      const run = block.subarray(from, to);
      frames = 0;
      from = to;
      if (BLOCK_BYTES - to < BLOCK_BYTES / 8) {
        block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
        from = 0;
        to = 0;
      }
      return run;
    },
  };
}
