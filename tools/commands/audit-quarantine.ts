import type { Command } from "commander";
import type { Groups } from "./groups.ts";
import type { QuarantineListOptions, QuarantineShowOptions } from "./audit-quarantine-run.ts";

/** `audit quarantine [list|show]`. */
export function addQuarantineCommands(audit: Command, { act, terminal }: Omit<Groups, "program">): void {
  const quarantine = audit
    .command("quarantine")
    .description("events that a book could not trust: refused with a code, and kept whole beside the book");

  const list = quarantine
    .command("list", { isDefault: true })
    .description("what was set apart, the newest first")
    .option("--book <name>", "audit or production; both when left out")
    .option("--limit <count>", "so many of each book, 1 to 200")
    .option("--before <seq>", "of one book, those told of before this record")
    .addHelpText("after", "\nExample:\n  rastro audit quarantine --book production");
  act(list, async (options: QuarantineListOptions) =>
    (await import("./audit-quarantine-run.ts")).runList(terminal, options),
  );

  const show = quarantine
    .command("show")
    .argument("<seq|sha256|id>", "number of the record that tells of it, hash of its bytes, or id of the event")
    .description("show what was set apart, whole, and the record that has the same id")
    .option("--book <name>", "audit or production; needed for a number")
    .addHelpText("after", "\nExample:\n  rastro audit quarantine show 12 --book production");
  act(show, async (which: string, options: QuarantineShowOptions) =>
    (await import("./audit-quarantine-run.ts")).runShow(terminal, which, options),
  );
}
