import { canonicalText } from "./canonical.ts";
import { type LedgerRecord, openRecord } from "./record.ts";
import type { SignedPart } from "./signature-check.ts";

/** Forms that are kept: books have some dozens of kinds of records. */
const FORMS_MAXIMUM = 64;
/** Longer records are read one by one. */
const LEARNT_MAXIMUM = 8192;
/** Stands in a text for bytes that are no UTF-8. */
const REPLACEMENT = "\ufffd";

/** What a verification needs to know of a record. */
export type RecordParts = { seq: number; prev: string; id: string; signed: SignedPart };
/** … of one whose event has no text for an id. */
type EventWithoutId = Omit<RecordParts, "id"> & { id: null };

/**
 * Reads records as `openRecord` does, and takes and refuses the same ones, in a tenth of the time.
 *
 * A canonical record's form (its keys in their order, and what kind of value each has) is learnt from one that
 * `openRecord` took, as a regular expression; a text that it matches differs from that record in plain texts and whole
 * numbers only, so it is canonical too. Whatever matches none of them is put to `openRecord` itself.
 */
export class RecordForms {
  readonly #forms: Form[] = [];
  readonly #known = new Set<string>();

  /**
   * Null for what `openRecord` refuses, for an event that lacks an id, and where only the bytes can tell (the text has
   * U+FFFD, which also stands for bytes that are no text).
   */
  read(text: string): RecordParts | null {
    for (const [index, form] of this.#forms.entries()) {
      const parts = form.read(text);
      if (parts === null) continue;
      if (index > 0) this.#forms.unshift(...this.#forms.splice(index, 1));
      return parts;
    }
    return text.includes(REPLACEMENT) ? null : this.#open(text);
  }

  /**
   * As {@link RecordForms.read} from the bytes, which leaves nothing in doubt.
   *
   * @throws LedgerError `not-canonical` as `openRecord` does.
   */
  open(bytes: Uint8Array): RecordParts | EventWithoutId {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
    return this.read(text) ?? partsOf(openRecord(bytes));
  }

  #open(text: string): RecordParts | null {
    try {
      const record = openRecord(Buffer.from(text, "utf8"));
      const parts = partsOf(record);
      if (parts.id === null) return null;
      this.#learn(record, text);
      return parts;
    } catch {
      return null;
    }
  }

  #learn(record: LedgerRecord, text: string): void {
    // A form catches the source too.
    if (typeof (record.event as { src?: { name?: unknown } }).src?.name !== "string") return;
    if (text.length > LEARNT_MAXIMUM || this.#known.size === FORMS_MAXIMUM) return;
    const form = new Form(record);
    if (this.#known.has(form.source)) return;
    this.#known.add(form.source);
    this.#forms.unshift(form);
  }
}

function partsOf({ seq, prev, event, sig, added }: LedgerRecord): RecordParts | EventWithoutId {
  const { id, src } = event as { id?: unknown; src?: { name?: unknown } };
  const source = typeof src?.name === "string" ? src.name : null;
  const signed = { text: canonicalText(event), sig, source, markedUnsigned: added.flags.includes("unsigned") };
  return typeof id === "string" ? { seq, prev, id, signed } : { seq, prev, id: null, signed };
}

/** Texts that are canonical as they stand: nothing to be escaped, no half of a surrogate pair, nothing in doubt. */
const PLAIN = String.raw`[^"\\\x00-\x1f\ufffd\ud800-\udfff]*`;
/** Whole numbers of at most 15 digits: all of these are safe. */
const WHOLE = String.raw`(?:0|-?[1-9]\d{0,14})`;

/** In the order in which they stand in a canonical record. */
const CAUGHT = ["event", "event.id", "event.src.name", "prev", "seq", "sig.by", "sig.key", "sig.value"];

class Form {
  readonly source: string;
  readonly #pattern: RegExp;
  readonly #markedUnsigned: boolean;

  constructor(record: LedgerRecord) {
    this.source = `^${patternOf(record, "")}$`;
    this.#pattern = new RegExp(this.source);
    this.#markedUnsigned = record.added.flags.includes("unsigned");
  }

  read(text: string): RecordParts | null {
    const caught = this.#pattern.exec(text);
    if (caught === null) return null;
    const [, event, id, source, prev, seq, by, key, value] = caught as unknown as string[];
    const sig = by === undefined ? null : { by, key: key as string, value: value as string };
    const signed = { text: event as string, sig, source: source as string, markedUnsigned: this.#markedUnsigned };
    return { seq: Number(seq), prev: prev as string, id: id as string, signed };
  }
}

function patternOf(value: unknown, path: string): string {
  const pattern = valuePattern(value, path);
  return CAUGHT.includes(path) && typeof value !== "string" && value !== null ? `(${pattern})` : pattern;
}

function valuePattern(value: unknown, path: string): string {
  // What decides about a record, and is not only carried by it, stays as it is.
  if (path === "v" || path === "added.flags") return escaped(JSON.stringify(value));
  if (typeof value === "string") return CAUGHT.includes(path) ? `"(${PLAIN})"` : `"${PLAIN}"`;
  if (typeof value === "number") return WHOLE;
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return String.raw`\[${value.map((item) => patternOf(item, `${path}[]`)).join(",")}\]`;
  const members = Object.entries(value as object).toSorted(([left], [right]) => (left < right ? -1 : 1));
  const patterns = members.map(
    ([key, member]) => `${escaped(JSON.stringify(key))}:${patternOf(member, within(path, key))}`,
  );
  return String.raw`\{${patterns.join(",")}\}`;
}

/** A key with a dot in it must not pass for two. */
function within(path: string, key: string): string {
  const step = key.replaceAll(".", "..");
  return path === "" ? step : `${path}.${step}`;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}
