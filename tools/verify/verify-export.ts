import { ExportCheck } from "../../lib/ledger/export-check.ts";
import { OriginSignatures } from "../../lib/ledger/origin-signatures.ts";
import type { Policy } from "../../lib/ledger/policy.ts";
import { type LineSource } from "./lines.ts";
import { type CheckpointReport, type Report, Steps } from "./report.ts";
import { believe, believed, type Trust } from "./trust.ts";

/**
 * Checks an export in one pass. Rejects only when the file cannot be read.
 *
 * @param lines - gives each line to a function.
 */
export async function verifyExport(lines: LineSource, trust: Trust): Promise<Report> {
  const steps = new Steps("export");
  const signatures = new OriginSignatures(trust.origins);
  const check = new ExportCheck({ signatures });
  steps.report.events = signatures.counts;
  let refused: unknown = null;
  await lines((line) => {
    try {
      check.line(line);
      return true;
    } catch (reason) {
      refused = reason;
      return false;
    }
  });
  if (refused !== null) return steps.refuse(refused);
  try {
    return takeSteps(steps, check, trust);
  } catch (reason) {
    return steps.refuse(reason);
  }
}

function takeSteps(steps: Steps, check: ExportCheck, trust: Trust): Report {
  const { header, trailer } = check.finish();
  const { records, omitted, unreadable } = trailer;
  const { book, filter, madeAt, size, root } = header;
  steps.report.export = { book, records, omitted, unreadable, filter, madeAt };
  steps.holds(`${records} records are canonical and in their order, each unchanged`);
  steps.holds(`they and the hashes of ${omitted + unreadable} others give the root ${root} of all ${size} records`);
  if (trust.policy !== null) {
    steps.report.checkpoint = believeTrailer(trust.policy, trailer.checkpoint, header);
    steps.holds(believed(steps.report.checkpoint));
  }
  const checked = Object.values(steps.report.events?.checked ?? {}).reduce((sum, count) => sum + count, 0);
  if (checked > 0) steps.holds(`${checked} events are signed by those who sent them`);
  return steps.accept();
}

function believeTrailer(
  policy: Policy,
  checkpoint: string | null,
  header: { origin: string; size: number; root: string },
): CheckpointReport {
  if (checkpoint === null) throw new Error("the export has no checkpoint, so nobody has signed what it says");
  const believed = believe(policy, checkpoint);
  for (const name of ["origin", "size", "root"] as const) {
    if (believed[name] === header[name]) continue;
    throw new Error(`the checkpoint has the ${name} ${believed[name]}, and the export ${header[name]}`);
  }
  return believed;
}
