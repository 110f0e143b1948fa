import { createHash } from "node:crypto";
import { EntryFields } from "../../lib/contracts/production.ts";
import { canonicalText } from "../../lib/ledger/canonical.ts";
import type { ReportLine } from "./read-reports.ts";
import { machineId, type WorkReport } from "./work-report.ts";
import type { Zone } from "./zone.ts";

/** An entry as the agent's door takes it, and the line that it came from. */
export type ReplayedEntry = { line: number; id: string; at: string; tz: string; fields: EntryFields };

const REPORT_TYPES = { D: "production", S: "set-up", B: "breakdown" } as const;
/** The file says how many were rejected, and not why. */
const DEFECT = "unspecified";

/** Makes an entry of each report, oldest first. Which report comes first in the file decides between equal times only. */
export function entriesOf(lines: readonly ReportLine[], zone: Zone): ReplayedEntry[] {
  const ordinalOf = countEquals();
  return lines
    .map(({ line, report }) => {
      const at = zone.toInstant(report.end);
      const said = saidBy(report);
      const id = idOf(at, canonicalText({ what: "work-report/1", said, ordinal: ordinalOf(canonicalText(said)) }));
      return { line, id, at: new Date(at).toISOString(), tz: zone.name, fields: fieldsOf(report) };
    })
    .toSorted((one, other) => (one.at < other.at ? -1 : one.at > other.at ? 1 : 0));
}

/**
 * Everything that a row says but who worked: with some dozens of workers, whoever has the rest of the row could try them
 * all against the hash in the id, and the id stays in the book for ever.
 */
function saidBy({ worker: _personal, ...said }: WorkReport): Omit<WorkReport, "worker"> {
  return said;
}

function fieldsOf(report: WorkReport): EntryFields {
  return EntryFields.parse({
    machine: machineId(report.machine),
    // The file knows no lots; an order is made in one.
    lot: report.order,
    order: report.order,
    product: report.part,
    operation: report.activity,
    good: report.completed,
    review: report.review,
    scrap: report.rejected === 0 ? [] : [{ defect: DEFECT, pieces: report.rejected }],
    report: { type: REPORT_TYPES[report.report_type], rework: report.rework === "Y" },
    source: "import",
  });
}

/** Counts from 1 how often the same text was seen: equal rows are as many entries. */
function countEquals(): (text: string) => number {
  const seen = new Map<string, number>();
  return (text) => {
    const ordinal = (seen.get(text) ?? 0) + 1;
    seen.set(text, ordinal);
    return ordinal;
  };
}

/** UUID version 7 (RFC 9562 §5.7): the event's time, then 74 bits of SHA-256 in the place of the random ones. */
function idOf(at: number, text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes.writeUIntBE(at, 0, 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
