/** Random numbers that a failed run can be repeated with (mulberry32; good enough to vary a test). */
export function random(seed: number): { below(limit: number): number } {
  let state = seed >>> 0;
  return {
    /** A whole number from 0 to `limit` - 1. */
    below(limit) {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit) | 0;
    },
  };
}
