import { addCheckpointCommands, addLogCommands } from "./audit-log.ts";
import { addQuarantineCommands } from "./audit-quarantine.ts";
import { addTakeAwayCommands } from "./audit-take-away.ts";
import type { Groups } from "./groups.ts";
import type { ShowOptions, TailOptions, VerifyOptions } from "./audit-run.ts";

/** `audit tail|show|verify|rotate-key|checkpoint|accept-loss|quarantine|export|prove|keys`. */
export function addAuditCommands({ program, act, terminal }: Groups): void {
  const audit = program.command("audit").description("the book of who did what, when and why; and whether it is whole");

  const tail = audit
    .command("tail")
    .description("the last records of the audit book, the newest at the end")
    .option("--limit <count>", "so many, 1 to 200")
    .option("--before <seq>", "those before this record")
    .addHelpText("after", "\nExample:\n  rastro audit tail --limit 5");
  act(tail, async (options: TailOptions) => (await import("./audit-run.ts")).runTail(terminal, options));

  const show = audit
    .command("show")
    .argument("<seq|id>", "number of the record, or id of its event")
    .description("show a record and check here that it is in the book; exit code 1 when that does not hold")
    .addHelpText("after", "\nExample:\n  rastro audit show 12");
  act(show, async (which: string, options: ShowOptions) =>
    (await import("./audit-run.ts")).runShow(terminal, which, options),
  );

  const verify = audit
    .command("verify")
    .description("read a whole book and recompute every hash; exit code 1 when something is damaged")
    .option("--book <name>", "audit or production", "audit")
    .option("--from <seq>", "only from this record on; what lies before is taken from the tree")
    .addHelpText(
      "after",
      "\nExamples:\n  rastro audit verify --book production --json\n  rastro audit verify --from 120000",
    );
  act(verify, async (options: VerifyOptions) => (await import("./audit-run.ts")).runVerify(terminal, options));

  addLogCommands(audit, { act, terminal });
  addCheckpointCommands(audit, { act, terminal });
  addQuarantineCommands(audit, { act, terminal });
  addTakeAwayCommands(audit, { act, terminal });
}
