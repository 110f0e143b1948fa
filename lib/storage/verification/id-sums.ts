import { isUuid } from "../keys.ts";

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
    if (!isUuid(id)) return false;
    this.#add(id, 0, seq);
    return true;
  }

  /** Takes a row of the store, `d` and the id with the number, if that is below `size`. What is none of these is not ours. */
  addRow(key: string, value: string, size: number): void {
    const seq = Number(value);
    if (key.length === 1 + UUID_LENGTH && seq < size && String(seq) === value) this.#add(key, 1, seq);
  }

  merge(more: IdSums["sums"]): void {
    this.sums.count += more.count;
    this.sums.first = (this.sums.first + more.first) >>> 0;
    this.sums.second = (this.sums.second + more.second) >>> 0;
  }

  equals({ sums }: IdSums): boolean {
    return sums.count === this.sums.count && sums.first === this.sums.first && sums.second === this.sums.second;
  }

  /** Four characters of the id a time, and the number: each kind of sum has a seed of its own. */
  #add(text: string, from: number, seq: number): void {
    let [first, second] = this.#seeds;
    for (let at = from; at < from + UUID_LENGTH; at += 4) {
      const word =
        text.charCodeAt(at) ^
        (text.charCodeAt(at + 1) << 8) ^
        (text.charCodeAt(at + 2) << 16) ^
        (text.charCodeAt(at + 3) << 24);
      first = round(first, word);
      second = round(second, word);
    }
    const [high, low] = [Math.floor(seq / 2 ** 32), seq >>> 0];
    this.sums.count += 1;
    this.sums.first = (this.sums.first + round(round(first, high), low)) >>> 0;
    this.sums.second = (this.sums.second + round(round(second, high), low)) >>> 0;
  }
}

const UUID_LENGTH = 36;

/** Another word to a state, mixed as MurmurHash3 does at its end. */
function round(state: number, value: number): number {
  let mix = state ^ value;
  mix = Math.imul(mix ^ (mix >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return (mix ^ (mix >>> 16)) + 0x9e3779b9;
}
