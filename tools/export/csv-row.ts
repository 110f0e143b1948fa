import type { ExportItem } from "../../lib/contracts/export.ts";
import { leafHash } from "../../lib/ledger/hash.ts";
import type { Cell } from "./csv.ts";

type Exported = Extract<ExportItem, { record: string }>;

/** The columns of a CSV export and what each has of a record. */
const COLUMNS: readonly (readonly [name: string, cell: (row: Row) => unknown])[] = [
  ["seq", ({ item }) => item.seq],
  ["at", ({ event }) => event["at"]],
  ["received", ({ record }) => record["recv"]],
  ["type", ({ told }) => told["type"]],
  ["result", ({ outcome }) => outcome["result"]],
  ["code", ({ outcome }) => outcome["code"]],
  ["who", ({ item }) => item.who],
  ["actor", ({ event }) => of(event["actor"], "sub")],
  ["auth", ({ event }) => of(event["actor"], "auth")],
  ["role", ({ outcome }) => outcome["role"]],
  ["reported_by", ({ event }) => of(event["src"], "name")],
  ["object_kind", ({ event }) => of(event["obj"], "kind")],
  ["object", ({ event }) => of(event["obj"], "key")],
  ["version", ({ outcome }) => outcome["rev"]],
  ["machine", ({ fields }) => fields["machine"]],
  ["lot", ({ fields }) => fields["lot"]],
  ["order", ({ fields }) => fields["order"]],
  ["product", ({ fields }) => fields["product"]],
  ["operation", ({ fields }) => fields["operation"]],
  ["good", ({ fields }) => fields["good"]],
  ["scrap", ({ fields }) => scrapOf(fields["scrap"])],
  ["defects", ({ fields }) => defectsOf(fields["scrap"])],
  ["rework", ({ fields }) => fields["rework"]],
  ["review", ({ fields }) => fields["review"]],
  ["reason_code", ({ event }) => of(event["reason"], "code")],
  ["reason", ({ item }) => item.text],
  ["flags", ({ outcome }) => outcome["flags"]],
  ["event", ({ event }) => event["id"]],
  ["leaf", ({ item }) => leafHash(Buffer.from(item.record)).toString("hex")],
];

export const CSV_HEADER: readonly string[] = COLUMNS.map(([name]) => name);

type Values = Readonly<Record<string, unknown>>;

/**
 * What a record says, where the columns look for it. A record of the audit book that tells of one of production's has
 * all but the event in its payload: `told` and `outcome` are that payload then.
 */
type Row = { item: Exported; record: Values; event: Values; told: Values; outcome: Values; fields: Values };

/** A record as a row of a CSV file. */
export function csvRow(item: Exported): Cell[] {
  const record = values(JSON.parse(item.record));
  const event = values(record["event"]);
  const payload = values(event["payload"]);
  const tells = event["type"] === "record.booked";
  const outcome = tells ? payload : values(record["added"]);
  const row = { item, record, event, told: tells ? payload : event, outcome, fields: fieldsOf(payload, outcome) };
  return COLUMNS.map(([, cell]) => toCell(cell(row)));
}

/** What an entry says from then on; of one that was voided what it said before. Else the payload itself. */
function fieldsOf(payload: Values, outcome: Values): Values {
  const states = [outcome["after"], payload["fields"], outcome["before"]];
  return values(states.find((state) => typeof state === "object" && state !== null) ?? payload);
}

function scrapOf(scrap: unknown): number | null {
  if (!Array.isArray(scrap)) return null;
  return scrap.reduce((sum: number, row) => sum + Number(of(row, "pieces") ?? 0), 0);
}

function defectsOf(scrap: unknown): string | null {
  if (!Array.isArray(scrap) || scrap.length === 0) return null;
  return scrap.map((row) => `${toCell(of(row, "defect")) ?? "?"} ${toCell(of(row, "pieces")) ?? "?"}`).join(", ");
}

function values(value: unknown): Values {
  return typeof value === "object" && value !== null ? (value as Values) : {};
}

function of(value: unknown, name: string): unknown {
  return values(value)[name];
}

function toCell(value: unknown): Cell {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" || typeof value === "number") return value;
  if (Array.isArray(value)) return value.join(" ");
  return JSON.stringify(value);
}
