import type { Command } from "commander";
import { typedJson, typedSeconds } from "../client/usage.ts";

/** What can be said of a command, whether it goes to one machine or to many. */
export type CommandOptions = { args?: string; valid?: string; timeout?: string; approveWithin?: string };

export function addCommandOptions(command: Command): Command {
  return command
    .option("--args <json>", "arguments, as a JSON object")
    .option("--valid <seconds>", "how long it may wait for the machine, 1 to 3600; 60 when left out")
    .option("--timeout <seconds>", "how long its execution may take, 1 to 600")
    .option("--approve-within <seconds>", "how long it may wait for a second person, 1 to 3600; 900 when left out");
}

/** The options as the fleet is asked with them; what was left out is not there. @throws RastroError for what does not fit. */
export function typedCommandOptions({ args, valid, timeout, approveWithin }: CommandOptions): object {
  return {
    ...(args === undefined ? {} : { args: typedJson("--args", args) }),
    ...(valid === undefined ? {} : { validMs: typedSeconds("--valid", valid) }),
    ...(timeout === undefined ? {} : { timeoutMs: typedSeconds("--timeout", timeout) }),
    ...(approveWithin === undefined ? {} : { approvalMs: typedSeconds("--approve-within", approveWithin) }),
  };
}
