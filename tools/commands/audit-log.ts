import type { Command } from "commander";
import type { Groups } from "./groups.ts";
import type { RotateKeyOptions } from "./audit-log-run.ts";

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
