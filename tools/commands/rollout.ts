import { addCommandOptions } from "./command-options.ts";
import type { WaitOptions } from "./command-run.ts";
import type { Groups } from "./groups.ts";
import type { BeginOptions, RolloutListOptions } from "./rollout-run.ts";

const ID = "019ab3c4-5d6e-7f80-9123-456789abcdef";

/** `rollout begin|approve|cancel|show|list`. */
export function addRolloutCommands({ program, act, terminal }: Groups): void {
  const rollout = program.command("rollout").description("one command to many machines, wave after wave");

  const begin = addCommandOptions(rollout.command("begin"))
    .argument("<name>", "what they are to do (rastro command send --help)")
    .argument("[machines...]", "ids of machines, in this order; --all for every one")
    .description("send a command to many machines in waves; exit code 1 unless all of them succeeded")
    .option("--all", "every machine that is registered and signs in")
    .option("--wave <count>", "so many machines at once, 1 to 100; 5 when left out")
    .option("--stop-after <count>", "send nothing more after so many failures; 1 when left out")
    .option("--id <uuid>", "id of the rollout (UUID version 7): beginning it again begins it once")
    .option("--wait", "wait for its end (does so when left out)")
    .option("--no-wait", "return as soon as it has begun; exit code 0 then")
    .addHelpText(
      "after",
      `\nExamples:
  rastro rollout begin ping --all --wave 10
  rastro rollout begin system-info press-1 press-2 press-3 --wave 1 --stop-after 1 --no-wait`,
    );
  act(begin, async (name: string, machines: string[], options: BeginOptions) =>
    (await import("./rollout-run.ts")).runBegin(terminal, name, machines, options),
  );

  const approve = rollout
    .command("approve")
    .argument("<id>", "id of the rollout")
    .description("agree, as the second person, to a rollout of somebody else; it begins with that")
    .option("--wait", "wait for its end (does so when left out)")
    .option("--no-wait", "return as soon as it has begun; exit code 0 then")
    .addHelpText("after", `\nExample:\n  rastro rollout approve ${ID}`);
  act(approve, async (id: string, options: WaitOptions) =>
    (await import("./rollout-run.ts")).runApproveRollout(terminal, id, options),
  );

  const cancel = rollout
    .command("cancel")
    .argument("<id>", "id of the rollout")
    .description("begin no further wave, and call back what no machine has acknowledged")
    .addHelpText("after", `\nExample:\n  rastro rollout cancel ${ID}`);
  act(cancel, async (id: string) => (await import("./rollout-run.ts")).runCancelRollout(terminal, id));

  const show = rollout
    .command("show")
    .argument("<id>", "id of the rollout")
    .description("show a rollout with its waves and what came of each command")
    .addHelpText("after", `\nExample:\n  rastro rollout show ${ID}`);
  act(show, async (id: string) => (await import("./rollout-run.ts")).runShowRollout(terminal, id));

  const list = rollout
    .command("list")
    .description("list rollouts, the newest first")
    .option("--limit <count>", "at most so many, 1 to 100")
    .option("--after <id>", "go on after a page; the page before says with what")
    .addHelpText("after", "\nExample:\n  rastro rollout list --limit 10");
  act(list, async (options: RolloutListOptions) =>
    (await import("./rollout-run.ts")).runListRollouts(terminal, options),
  );
}
