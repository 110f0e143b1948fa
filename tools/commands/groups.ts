import type { Command } from "commander";
import type { Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";

/** Makes the action of a command out of its work; `--json` is added to every command that gets one. */
export type Act = (command: Command, work: (...args: never[]) => Promise<Outcome>) => void;

/** What every file of commands is handed. */
export type Groups = { program: Command; act: Act; terminal: Terminal };
