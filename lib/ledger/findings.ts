/** How many findings are named; `count` counts the rest. */
const NAMED_MAXIMUM = 1000;

/** What a finding is about. */
export type Place =
  | { at: "record"; seq: number }
  | { at: "node"; level: number; index: number }
  | { at: "id"; id: string }
  | { at: "head" }
  | { at: "note" }
  /** What an earlier verification has noted of the book. */
  | { at: "verified" }
  /** A checkpoint that is kept beside the records. */
  | { at: "checkpoint"; size: number }
  /** A file of the store. */
  | { at: "file"; name: string };

export type FindingKind =
  | "altered"
  | "missing"
  | "reordered"
  | "broken-chain"
  | "not-canonical"
  | "truncated"
  | "forked"
  | "unsigned"
  | "bad-signature"
  | "index";

export type Finding = { seq: number; kind: FindingKind; place: Place; expected: string; found: string };

/** What a verification has found so far: the first thousand by name, the others by number. */
export class Findings {
  readonly named: Finding[] = [];
  count = 0;

  report(seq: number, kind: FindingKind, place: Place, expected: string, found: string): void {
    this.count += 1;
    if (this.named.length < NAMED_MAXIMUM) this.named.push({ seq, kind, place, expected, found });
  }
}

export function recordAt(seq: number): Place {
  return { at: "record", seq };
}

/** Hexadecimal for a finding; `nothing` where there are no bytes. */
export function hex(bytes: Uint8Array | null): string {
  return bytes === null ? "nothing" : Buffer.from(bytes).toString("hex");
}

/** Reads one place; what cannot be read counts as not there, with the reason kept. */
export function attempt<T>(read: () => T | undefined): { value: T | null; fault: string | null } {
  try {
    return { value: read() ?? null, fault: null };
  } catch (thrown) {
    return { value: null, fault: thrown instanceof Error ? `unreadable: ${thrown.message}` : "unreadable" };
  }
}
