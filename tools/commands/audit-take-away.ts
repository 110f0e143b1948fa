import type { Command } from "commander";
import type { KeysOptions } from "./audit-keys-run.ts";
import type { ExportOptions, ProveOptions } from "./audit-take-away-run.ts";
import type { Groups } from "./groups.ts";

/** `audit export|prove|keys`: what is taken out of the plant, to be checked with `rastro verify`. */
export function addTakeAwayCommands(audit: Command, { act, terminal }: Pick<Groups, "act" | "terminal">): void {
  const take = audit
    .command("export")
    .description("write a book, or what fits a filter, to a file; each export is on record in the audit book")
    .requiredOption("-o, --out <file>", "the file; one that is there is replaced when the new one is whole")
    .option("--book <name>", "production or audit", "production")
    .option("--format <format>", "jsonl (verifiable) or csv (for spreadsheets)", "jsonl")
    .option("--from <time|seq>", "from this instant with its zone, or this record, on")
    .option("--to <time|seq>", "up to this instant or record, without it")
    .option("--machine <id>", "made there, reported by it, or about it")
    .option("--person <login>", "done by or about this person")
    .option("--lot <code>", "of this lot")
    .option("--type <type>", "events of this type, such as entry.corrected")
    .option("--kind <kind>", "about objects of this kind, such as entry or session")
    .option("--separator <character>", "between the cells of a CSV; ; for Excel in Portuguese", ",")
    .option("--bom", "begin a CSV with a byte order mark, by which Excel knows UTF-8")
    .option("--no-names", "leave names and reasons out of a CSV")
    .addHelpText("after", `\n${EXPORT_HELP}`);
  act(take, async (options: ExportOptions) => (await import("./audit-take-away-run.ts")).runExport(terminal, options));

  const prove = audit
    .command("prove")
    .argument("<seq|id>", "number of the record, or id of its event")
    .description("write one file that proves a record to whoever has the log's key: record, path and checkpoint")
    .requiredOption("-o, --out <file>", "the file, by custom with the ending .tlog-proof")
    .option("--book <name>", "production or audit", "production")
    .addHelpText(
      "after",
      "\nExample:\n  rastro audit prove 12 -o entry.tlog-proof && rastro verify entry.tlog-proof --key …",
    );
  act(prove, async (which: string, options: ProveOptions) =>
    (await import("./audit-take-away-run.ts")).runProve(terminal, which, options),
  );

  addKeysCommand(audit, { act, terminal });
}

/** `audit keys`: what an outsider needs beside the file. */
function addKeysCommand(audit: Command, { act, terminal }: Pick<Groups, "act" | "terminal">): void {
  const keys = audit
    .command("keys")
    .description("the public keys of the plant's books, machines and services, for rastro verify --keys")
    .option("-o, --out <file>", "write them to a file")
    .addHelpText("after", "\nExample:\n  rastro audit keys -o plant.keys");
  act(keys, async (options: KeysOptions) => (await import("./audit-keys-run.ts")).runKeys(terminal, options));
}

const EXPORT_HELP = `Examples:
  rastro audit export -o november.jsonl --from 2026-11-01T00:00:00-03:00 --to 2026-12-01T00:00:00-03:00
  rastro audit export -o press-1.csv --format csv --machine press-1 --separator ";" --bom`;
