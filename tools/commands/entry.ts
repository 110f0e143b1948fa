import type { Command } from "commander";
import { REASON_CODES } from "../../lib/contracts/production.ts";
import type { AddOptions } from "./entry-add.ts";
import type { CorrectOptions, ReasonOptions } from "./entry-change.ts";
import { addFieldOptions } from "./entry-options.ts";
import type { ListOptions, ShowOptions, TotalsOptions } from "./entry-read.ts";
import type { Groups } from "./groups.ts";

const REASONS_HELP = `Reason codes:\n${Object.entries(REASON_CODES)
  .map(([code, meaning]) => `  ${code.padEnd(14)} ${meaning}`)
  .join("\n")}`;

/** `entry add|list|show|correct|void|totals`. */
export function addEntryCommands(groups: Groups): void {
  const entry = groups.program.command("entry").description("production entries: make, read, change, sum up, prove");
  addAdd(entry, groups);
  addReading(entry, groups);
  addChanges(entry, groups);
}

function addAdd(entry: Command, { act, terminal }: Groups): void {
  const add = addFieldOptions(
    entry
      .command("add")
      .description("enter what was produced; prints the receipt, which is given only for what is on disk")
      .requiredOption("--machine <id>", "where it was made")
      .requiredOption("--lot <code>", "lot"),
  )
    .option("--at <instant>", "when it was made; now when left out")
    .option("--id <uuid>", "id of the entry (UUID version 7): entering it again books it once")
    .option("--at-agent", "hand it to the agent on this machine, which keeps it until the hub has it")
    .addHelpText(
      "after",
      `\nExamples:
  rastro entry add --machine press-1 --lot L-204 --good 118 --scrap 2 --defect burr
  rastro entry add --machine press-1 --lot L-204 --good 40 --scrap-of burr@left=1 --scrap-of crack=2 --json
  rastro entry add --machine press-1 --lot L-204 --good 5 --at 2026-11-24T14:05:00-03:00 --at-agent`,
    );
  act(add, async (options: AddOptions) => (await import("./entry-add.ts")).runAdd(terminal, options));
}

function addReading(entry: Command, { act, terminal }: Groups): void {
  const listing = entry
    .command("list")
    .description("list entries, the newest first")
    .option("--lot <code>", "of this lot only")
    .option("--limit <count>", "at most so many, 1 to 500")
    .option("--after <cursor>", "go on after a page; the page before says with what")
    .option("--watch", "draw it anew each second until Ctrl-C; a * marks what has changed")
    .addHelpText(
      "after",
      "\nExamples:\n  rastro entry list --lot L-204 --limit 10\n  rastro entry list --limit 20 --watch",
    );
  act(listing, async (options: ListOptions) => (await import("./entry-read.ts")).runList(terminal, options));

  const show = entry
    .command("show")
    .argument("<id>", "id of the entry")
    .description("show an entry with all its versions")
    .option(
      "--proof",
      "fetch the proof that each version is in the book and check it here; exit code 1 when one does not hold",
    )
    .addHelpText("after", "\nExample:\n  rastro entry show 019ab3c4-5d6e-7f80-9123-456789abcdef --proof");
  act(show, async (id: string, options: ShowOptions) =>
    (await import("./entry-read.ts")).runShow(terminal, id, options),
  );

  const totals = entry
    .command("totals")
    .description("sums over the entries that count")
    .option("--lot <code>", "of this lot only")
    .option("--watch", "draw it anew each second until Ctrl-C; a * marks what has changed")
    .addHelpText("after", "\nExamples:\n  rastro entry totals --json\n  rastro entry totals --watch");
  act(totals, async (options: TotalsOptions) => (await import("./entry-read.ts")).runTotals(terminal, options));
}

function addChanges(entry: Command, { act, terminal }: Groups): void {
  const correct = addFieldOptions(
    withReason(entry.command("correct").argument("<id>", "id of the entry"))
      .description("correct an entry: what is not named stays; the version before stays in the book")
      .option("--machine <id>", "where it was made")
      .option("--lot <code>", "lot"),
  )
    .option("--scrap-none", "take all scrap away")
    .option("--at <instant>", "when it was made")
    .addHelpText(
      "after",
      `\nExample:\n  rastro entry correct 019ab3c4-5d6e-7f80-9123-456789abcdef --good 119 --reason COUNT_FIX --text "counted again by hand"\n\n${REASONS_HELP}`,
    );
  act(correct, async (id: string, options: CorrectOptions) =>
    (await import("./entry-change.ts")).runCorrect(terminal, id, options),
  );

  const voiding = withReason(entry.command("void").argument("<id>", "id of the entry"))
    .description("void an entry: it counts no longer and stays in the book")
    .addHelpText(
      "after",
      `\nExample:\n  rastro entry void 019ab3c4-5d6e-7f80-9123-456789abcdef --reason DUPLICATE --text "entered twice at shift change"\n\n${REASONS_HELP}`,
    );
  act(voiding, async (id: string, options: ReasonOptions) =>
    (await import("./entry-change.ts")).runVoid(terminal, id, options),
  );
}

function withReason(command: Command): Command {
  return command
    .requiredOption("--reason <code>", "why, as a code (see below)")
    .requiredOption("--text <text>", "why, in your own words: at least 10 characters");
}
