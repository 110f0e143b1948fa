import type { Entry, EntryFields, EntryVersion } from "../../lib/contracts/production.ts";
import { Uuid7 } from "../../lib/contracts/names.ts";
import { OPERATIONS } from "../../lib/contracts/operations.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { checkProof } from "../client/check-proof.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { list, localTime, proofText, table, whoText } from "../client/print.ts";
import type { SignedInHub } from "../client/session.ts";
import type { Terminal } from "../client/terminal.ts";
import { typedCount } from "../client/usage.ts";
import type { KeyedTable } from "../client/watch.ts";

export type ListOptions = { lot?: string; limit?: string; after?: string; watch?: true; json?: true };
export type ShowOptions = { proof?: true };
export type TotalsOptions = { lot?: string; watch?: true; json?: true };

export async function runList(terminal: Terminal, options: ListOptions): Promise<Outcome> {
  const given = {
    lot: options.lot ?? null,
    after: options.after ?? null,
    ...(options.limit === undefined ? {} : { limit: typedCount(options.limit) }),
  };
  const request = parseValue(OPERATIONS.production["entry-list"].request, given, "the options");
  const read = (hub: SignedInHub) => hub.call("production", "entry-list", request);
  if (options.watch) return watchTable(terminal, options.json, async (hub) => listingOf((await read(hub)).entries));
  const { withHub } = await import("../client/session.ts");
  const page = await withHub(terminal.env, read);
  const { names, rows, empty } = listingOf(page.entries);
  const text = await table(
    names,
    rows.map(({ cells }) => cells),
    empty,
  );
  return { data: page, text: page.next === null ? text : `${text}\nMore with: --after ${page.next}` };
}

function listingOf(entries: readonly Entry[]): KeyedTable {
  const rows = entries.map((entry) => ({
    key: entry.id,
    cells: [
      entry.id,
      localTime(entry.at),
      entry.fields.machine,
      entry.fields.lot,
      entry.fields.good,
      scrapOf(entry.fields),
      `${entry.state} v${entry.rev}`,
      entry.receipt.seq,
    ],
  }));
  const names = ["entry", "at", "machine", "lot", "good", "scrap", "state", "record"];
  return { names, rows, empty: "There is no entry." };
}

export async function runTotals(terminal: Terminal, options: TotalsOptions): Promise<Outcome> {
  const given = { lot: options.lot ?? null };
  const request = parseValue(OPERATIONS.production["entry-totals"].request, given, "the options");
  const read = (hub: SignedInHub) => hub.call("production", "entry-totals", request);
  if (options.watch) {
    return watchTable(terminal, options.json, async (hub) => ({
      names: ["total", "value"],
      rows: Object.entries(await read(hub)).map(([name, value]) => ({ key: name, cells: [name, value] })),
      empty: "",
    }));
  }
  const { withHub } = await import("../client/session.ts");
  const totals = await withHub(terminal.env, read);
  return { data: totals, text: list(Object.entries(totals)) };
}

async function watchTable(
  terminal: Terminal,
  json: boolean | undefined,
  read: (hub: SignedInHub) => Promise<KeyedTable>,
): Promise<Outcome> {
  const { createChangeMarks, watch } = await import("../client/watch.ts");
  const draw = createChangeMarks();
  return watch(terminal, json, async (hub) => draw(await read(hub)));
}

export async function runShow(terminal: Terminal, given: string, options: ShowOptions): Promise<Outcome> {
  const id = parseValue(Uuid7, given, "the entry's id");
  const { withHub } = await import("../client/session.ts");
  const { shown, proved } = await withHub(terminal.env, async (hub) => {
    const answer = await hub.call("production", "entry-show", { id });
    return { shown: answer, proved: options.proof ? await proveVersions(hub, answer.versions) : [] };
  });
  const parts = [entryText(shown.entry), versionsText(shown.versions), ...proved.map(({ check }) => proofText(check))];
  const data = options.proof ? { ...shown, proofs: proved } : shown;
  return { data, text: parts.join("\n\n"), exit: proved.every(({ check }) => check.ok) ? EXIT.done : EXIT.no };
}

/**
 * Each version is a record of its own, and each is proved: the history is as much in the book as the last word. The proof
 * goes along with what was checked of it, so that whoever reads the JSON can check again.
 */
async function proveVersions(hub: SignedInHub, versions: EntryVersion[]) {
  const proved = [];
  for (const version of versions) {
    const proof = await hub.call("production", "book-proof", { seq: version.seq });
    const { check } = checkProof(proof, { seq: version.seq, leaf: version.leaf, event: version.event });
    proved.push({ check, proof });
  }
  return proved;
}

function entryText(entry: Entry): string {
  const { fields, receipt } = entry;
  return list([
    ["entry", entry.id],
    ["state", `${entry.state}, version ${entry.rev}${entry.flags.length > 0 ? ` (${entry.flags.join(", ")})` : ""}`],
    ["at", localTime(entry.at)],
    ["machine", fields.machine],
    ["lot", fields.lot],
    ["order", fields.order],
    ["product", fields.product],
    ["operation", fields.operation],
    ["report", reportText(fields)],
    ["good", fields.good],
    ["rework", fields.rework],
    ["review", fields.review],
    ["scrap", scrapText(fields)],
    ["source", fields.source],
    ["receipt", `${receipt.status}, record ${receipt.seq} of the book ${receipt.book}`],
    ["leaf", receipt.leaf],
  ]);
}

function versionsText(versions: EntryVersion[]): string {
  const lines = versions.map((version) => {
    const who = whoText(version.who, version.actor);
    const why =
      version.reason === null
        ? ""
        : `: ${version.reason.code}${version.reason.text === null ? "" : `, "${version.reason.text}"`}`;
    return list([
      [
        `v${version.rev}`,
        `${localTime(version.recv)}  ${version.type} by ${who} via ${version.via}, record ${version.seq}${why}`,
      ],
    ]);
  });
  return lines.join("\n");
}

function scrapOf(fields: EntryFields): number {
  return fields.scrap.reduce((sum, row) => sum + (row.pieces ?? 0), 0);
}

function scrapText(fields: EntryFields): string {
  const rows = fields.scrap.map((row) => {
    const where = row.location === null ? "" : ` at ${row.location}`;
    return `${row.pieces ?? "?"} ${row.defect}${where}`;
  });
  return rows.length === 0 ? "0" : rows.join(", ");
}

function reportText({ report }: EntryFields): string | null {
  return report === null ? null : `${report.type}${report.rework ? ", done once more" : ""}`;
}
