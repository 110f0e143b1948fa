import type { Groups } from "./groups.ts";
import type { ReplayOptions } from "./replay-run.ts";

/** `replay FILE`. */
export function addReplayCommand({ program, act, terminal }: Groups): void {
  const replay = program
    .command("replay")
    .argument("<file>", "CSV with a header line, one work report a line")
    .description("send work reports of a file through the agent of this machine, as entries with their own times")
    .option("--speed <n>", "so many times as fast as they came; as fast as it goes when left out")
    .option("--as <agent>", "id of the agent on this machine; RASTRO_MACHINE when left out")
    .option("--tz <zone>", "zone of the local times in the file; RASTRO_TZ when left out")
    .addHelpText(
      "after",
      `\nExamples:
  rastro replay production-2012.csv                    all of it, and again without booking anything twice
  rastro replay production-2012.csv --speed 3600       an hour of the file in a second
  rastro replay production-2012.csv --tz Asia/Jerusalem --json

Columns, in any order:
  order, order_quantity, part, activity, machine, worker, report_type (D, S or B), start, end, completed, rejected,
  review, rework (Y or empty)
The whole file is checked before anything is sent. A row becomes the entry of its end: completed counts as good, rejected
as scrap, the order is the lot too; the worker is left out. Machines that are not registered yet are registered as
machines that never sign in, and the agent to speak for them, which takes an administrator.`,
    );
  act(replay, async (file: string, options: ReplayOptions) =>
    (await import("./replay-run.ts")).runReplay(terminal, file, options),
  );
}
