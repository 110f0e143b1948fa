import { readU64 } from "../keys.ts";

/**
 * Whether two collections of ids with their record numbers are the same, without keeping either: each pair is mixed
 * with a seed that nobody knows beforehand, and the mixtures are added up. Two collections that differ have the same
 * sums once in 2^64.
 */
export class IdSums {
  readonly #seeds: readonly [number, number];
  readonly sums: { count: number; first: number; second: number } = { count: 0, first: 0, second: 0 };

  constructor(seeds: readonly [number, number]) {
    this.#seeds = seeds;
  }

  /** False, and nothing added, when the id is no lower-case UUID. */
  addText(id: string, seq: number): boolean {
    if (id.length !== 36 || !hasDashes(id)) return false;
    const [a, b, c] = [digits(id, 0, 8), digits(id, 9, 4), digits(id, 14, 4)];
    const [d, e, f] = [digits(id, 19, 4), digits(id, 24, 4), digits(id, 28, 8)];
    if (a < 0 || b < 0 || c < 0 || d < 0 || e < 0 || f < 0) return false;
    this.#add(a, ((b << 16) | c) >>> 0, ((d << 16) | e) >>> 0, f, seq);
    return true;
  }

  /** Takes a row of the store, `d` and the 16 bytes of the id with the number, if that is below `size`. */
  addRow(key: Buffer, value: Buffer, size: number): void {
    const seq = readU64(value);
    if (seq >= size) return;
    this.#add(key.readUInt32BE(1), key.readUInt32BE(5), key.readUInt32BE(9), key.readUInt32BE(13), seq);
  }

  merge(more: IdSums["sums"]): void {
    this.sums.count += more.count;
    this.sums.first = (this.sums.first + more.first) >>> 0;
    this.sums.second = (this.sums.second + more.second) >>> 0;
  }

  equals({ sums }: IdSums): boolean {
    return sums.count === this.sums.count && sums.first === this.sums.first && sums.second === this.sums.second;
  }

  #add(a: number, b: number, c: number, d: number, seq: number): void {
    const high = Math.floor(seq / 2 ** 32);
    const low = seq >>> 0;
    this.sums.count += 1;
    this.sums.first = (this.sums.first + mixed(this.#seeds[0], a, b, c, d, high, low)) >>> 0;
    this.sums.second = (this.sums.second + mixed(this.#seeds[1], low, high, d, c, b, a)) >>> 0;
  }
}

const DASH = 0x2d;

function hasDashes(id: string): boolean {
  return (
    id.charCodeAt(8) === DASH && id.charCodeAt(13) === DASH && id.charCodeAt(18) === DASH && id.charCodeAt(23) === DASH
  );
}

const NONE = -1;
/** What a lower-case hexadecimal digit counts, by its character code. */
const DIGITS: Int8Array = Int8Array.from({ length: 128 }, (_, code) =>
  "0123456789abcdef".indexOf(String.fromCharCode(code)),
);

/** Up to 8 hexadecimal digits as a number; NONE where one of them is no such digit. */
function digits(text: string, from: number, count: number): number {
  let value = 0;
  let bad = 0;
  for (let at = from; at < from + count; at += 1) {
    const code = text.charCodeAt(at);
    const digit = code < 128 ? (DIGITS[code] as number) : NONE;
    bad |= digit;
    value = (value << 4) | digit;
  }
  return bad < 0 ? NONE : value >>> 0;
}

/** Six words and a seed to one (the rounds of MurmurHash3, with the last mixing after each word). */
function mixed(seed: number, a: number, b: number, c: number, d: number, e: number, f: number): number {
  return round(round(round(round(round(round(seed, a), b), c), d), e), f);
}

function round(state: number, value: number): number {
  let mix = state ^ value;
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return (mix ^ (mix >>> 16)) + 0x9e3779b9;
}
