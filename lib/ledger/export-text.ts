import { createHash } from "node:crypto";
import { type ExportGap, type ExportHeader, gapLine, headerLine, recordLine, trailerLine } from "./export-lines.ts";

/**
 * Writes the lines of an export and counts them. Each function gives what comes next, with its line break; records and
 * gaps have to follow each other without a hole, from 0 to the size.
 */
export class ExportText {
  readonly #digest = createHash("sha256");
  readonly #counts = { records: 0, omitted: 0, unreadable: 0 };

  header(header: Omit<ExportHeader, "rastro" | "v">): string {
    return this.#give(headerLine({ rastro: "export", v: 1, ...header }));
  }

  record(seq: number, bytes: Uint8Array): string {
    this.#counts.records += 1;
    return this.#give(recordLine(seq, bytes));
  }

  gap(kind: "omitted" | "unreadable", gap: ExportGap): string {
    this.#counts[kind] += gap.to - gap.from;
    return this.#give(gapLine(kind, gap));
  }

  /** The last line. @param checkpoint - the signed note of the size and root that the header names. */
  trailer(checkpoint: string | null): string {
    return this.#give(trailerLine({ checkpoint, ...this.#counts, sha256: this.#digest.copy().digest("hex") }));
  }

  /** What was written so far. */
  get counts(): Readonly<{ records: number; omitted: number; unreadable: number }> {
    return this.#counts;
  }

  #give(line: string): string {
    const text = `${line}\n`;
    this.#digest.update(text);
    return text;
  }
}
