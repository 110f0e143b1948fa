import type { CheckpointReport, Report } from "./report.ts";

/** A report as a person reads it. */
export function reportText(file: string, report: Report): string {
  const lines = [
    ...report.steps.map((step) => `  holds  ${step}`),
    ...(report.refusal === null ? [] : [`  FAILS  ${report.refusal}`]),
    "",
    ...factsOf(report).map(([name, value]) => `${name.padEnd(11)} ${value}`),
    "",
    verdict(file, report),
  ];
  return lines.map(shown).join("\n");
}

type Fact = [name: string, value: string];

function factsOf(report: Report): Fact[] {
  const { record, events, checkpoint } = report;
  const facts: Fact[] = [];
  if (record !== undefined) {
    facts.push(["record", `${record.seq}, leaf ${record.leaf}`]);
    facts.push(["event", `${text(record.type)} ${text(record.id)}, at ${text(record.at)}, by ${text(record.actor)}`]);
    facts.push(["received", record.recv]);
  }
  if (report.export !== undefined) {
    const { book, records, omitted, unreadable, filter, madeAt } = report.export;
    facts.push(["export of", `the book ${book}: ${records} records, ${omitted} left out, ${unreadable} unreadable`]);
    facts.push(["asked for", `${JSON.stringify(filter)}, made ${madeAt} (nobody signs these two)`]);
  }
  if (events !== null) facts.push(["events", eventsText(events)]);
  return [...facts, ...(checkpoint === null ? [] : checkpointFacts(checkpoint))];
}

function eventsText({ checked, unsigned, unknownKey }: NonNullable<Report["events"]>): string {
  const by = Object.entries(checked).map(([name, count]) => `${count} signed by ${name}`);
  return [...by, `${unknownKey} signed with keys that were not given`, `${unsigned} unsigned`].join(", ");
}

function checkpointFacts({ origin, size, signedBy, cosignedBy, quorum }: CheckpointReport): Fact[] {
  const signed = signedBy.map(({ name, keyId }): Fact => ["signed by", `the log ${name}, key ${keyId}`]);
  const cosigned = cosignedBy.map(({ name, key, time }): Fact => ["cosigned by", `${name} (${key}) at ${time}`]);
  return [
    ["checkpoint", `${origin}, ${size} records`],
    ...signed,
    ...cosigned,
    ["quorum", quorum === null ? "none was asked for" : `"${quorum}" is met`],
  ];
}

function verdict(file: string, { ok, kind, checkpoint }: Report): string {
  if (!ok) return `REFUSED: ${file}`;
  const whole = `The ${kind} ${file} is whole`;
  return checkpoint === null
    ? `${whole} in itself. Whose it is was not asked: no signature of a checkpoint was looked at.`
    : `${whole}.`;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}

/** What comes out of a file must not steer a terminal. */
function shown(line: string): string {
  return line.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ");
}
