import type { Command } from "commander";
import type { Groups } from "./groups.ts";
import type { AcceptLossOptions, CheckpointOptions, RotateKeyOptions } from "./audit-log-run.ts";

/** `audit rotate-key`. */
export function addLogCommands(audit: Command, { act, terminal }: Omit<Groups, "program">): void {
  const rotate = audit
    .command("rotate-key")
    .description("make a new key for a book's checkpoints, to which the old one hands over; both sign until --retire")
    .option("--book <name>", "audit or production", "audit")
    .option("--retire", "end a rotation: destroy the old key, once every witness and auditor has the new one")
    .requiredOption("--reason <text>", "why, in at least 10 characters; it is kept in the audit book")
    .addHelpText("after", '\nExample:\n  rastro audit rotate-key --book audit --reason "the administrator changed"');
  act(rotate, async (options: RotateKeyOptions) =>
    (await import("./audit-log-run.ts")).runRotateKey(terminal, options),
  );
}

/** `audit checkpoint`, `audit accept-loss`: what a book says of itself to its witnesses. */
export function addCheckpointCommands(audit: Command, { act, terminal }: Omit<Groups, "program">): void {
  const checkpoint = audit
    .command("checkpoint")
    .description("the newest checkpoint of a book as a signed note, with the cosignatures that have come in")
    .option("--book <name>", "audit or production", "audit")
    .addHelpText("after", "\nExample:\n  rastro audit checkpoint --book production > production.checkpoint");
  act(checkpoint, async (options: CheckpointOptions) =>
    (await import("./audit-log-run.ts")).runCheckpoint(terminal, options),
  );

  const acceptLoss = audit
    .command("accept-loss")
    .description("let a book go on of which somebody has seen more than it has: what is missing is lost for good")
    .option("--book <name>", "audit or production", "audit")
    .requiredOption("--reason <text>", "why, in at least 10 characters; it is kept in the audit book")
    .addHelpText("after", '\nExample:\n  rastro audit accept-loss --reason "both disks burnt, no newer backup"');
  act(acceptLoss, async (options: AcceptLossOptions) =>
    (await import("./audit-log-run.ts")).runAcceptLoss(terminal, options),
  );
}
