import { COMMANDS } from "../../lib/contracts/commands.ts";
import type { ListOptions, SendOptions, WaitOptions } from "./command-run.ts";
import { addCommandOptions } from "./command-options.ts";
import type { Groups } from "./groups.ts";

const NAMES_HELP = `Commands:\n${Object.entries(COMMANDS)
  .map(([name, { about }]) => `  ${name.padEnd(12)} ${about}`)
  .join("\n")}`;

/** `command send|approve|cancel|list|show`. */
export function addCommandCommands({ program, act, terminal }: Groups): void {
  const command = program.command("command").description("signed commands to machines: send, approve, cancel, look up");

  const send = addCommandOptions(command.command("send"))
    .argument("<machine>", "id of the machine")
    .argument("<name>", "what it is to do (see below)")
    .description("send a command and wait for its result; exit code 1 unless it succeeded")
    .option("--id <uuid>", "id of the command (UUID version 7): sending it again executes it once")
    .option("--wait", "wait for the result (does so when left out)")
    .option("--no-wait", "return as soon as the command is queued; exit code 0 then")
    .addHelpText(
      "after",
      `\nExamples:
  rastro command send press-1 ping
  rastro command send press-1 system-info --json
  rastro command send press-1 system-info --valid 1800 --no-wait\n\n${NAMES_HELP}`,
    );
  act(send, async (machine: string, name: string, options: SendOptions) =>
    (await import("./command-run.ts")).runSend(terminal, machine, name, options),
  );

  const approve = command
    .command("approve")
    .argument("<id>", "id of the command")
    .description("agree, as the second person, to a command of somebody else; its time begins with that")
    .option("--wait", "wait for the result (does so when left out)")
    .option("--no-wait", "return as soon as the command is queued; exit code 0 then")
    .addHelpText("after", "\nExample:\n  rastro command approve 019ab3c4-5d6e-7f80-9123-456789abcdef");
  act(approve, async (id: string, options: WaitOptions) =>
    (await import("./command-run.ts")).runApprove(terminal, id, options),
  );

  const cancel = command
    .command("cancel")
    .argument("<id>", "id of the command")
    .description("call a command back that its machine has not acknowledged, or refuse it as the second person")
    .addHelpText("after", "\nExample:\n  rastro command cancel 019ab3c4-5d6e-7f80-9123-456789abcdef");
  act(cancel, async (id: string) => (await import("./command-run.ts")).runCancel(terminal, id));

  const list = command
    .command("list")
    .argument("[machine]", "of this machine only")
    .description("list commands, the newest first")
    .option("--pending", "only those that wait for a second person")
    .option("--limit <count>", "at most so many, 1 to 500")
    .option("--after <id>", "go on after a page; the page before says with what")
    .addHelpText("after", "\nExample:\n  rastro command list press-1 --limit 10");
  act(list, async (machine: string | undefined, options: ListOptions) =>
    (await import("./command-run.ts")).runList(terminal, machine, options),
  );

  const show = command
    .command("show")
    .argument("<id>", "id of the command")
    .description("show a command with its history and result")
    .addHelpText("after", "\nExample:\n  rastro command show 019ab3c4-5d6e-7f80-9123-456789abcdef");
  act(show, async (id: string) => (await import("./command-run.ts")).runShow(terminal, id));
}
