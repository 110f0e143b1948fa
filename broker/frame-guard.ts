/** Why a frame is not taken in: longer than the bound, or a length that MQTT does not have. */
export type BadFrame = { why: "too-large"; bytes: number; limit: number } | { why: "malformed-length" };

/** The "remaining length" of a fixed header has at most four bytes (MQTT 3.1.1 §2.2.3). */
const LONGEST_LENGTH = 4;

/**
 * Watches the fixed headers of what one connection sends and says which frame must not be taken in, before anything of
 * its body is kept. Only as many bytes as a header has are remembered between chunks.
 */
export interface FrameGuard {
  /** Looks at the next chunk of the stream. @returns the first frame that is at fault, else null. */
  look(chunk: Uint8Array): BadFrame | null;
}

/** @param limit - the longest frame at this moment, header included; bytes. */
export function createFrameGuard(limit: () => number): FrameGuard {
  /** Bytes of the present frame's body that are still to come. */
  let body = 0;
  /** Bytes of the present header that have come. */
  let header = 0;
  let length = 0;
  let unit = 1;

  return {
    look(chunk) {
      let at = 0;
      while (at < chunk.length) {
        if (body > 0) {
          const step = Math.min(body, chunk.length - at);
          body -= step;
          at += step;
          continue;
        }
        const byte = chunk[at] ?? 0;
        at += 1;
        header += 1;
        if (header === 1) continue;
        length += (byte & 0x7f) * unit;
        unit *= 128;
        if (byte >= 0x80) {
          if (header > LONGEST_LENGTH) return { why: "malformed-length" };
          continue;
        }
        if (header + length > limit()) return { why: "too-large", bytes: header + length, limit: limit() };
        body = length;
        header = 0;
        length = 0;
        unit = 1;
      }
      return null;
    },
  };
}
