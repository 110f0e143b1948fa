import { Command, type CommanderError } from "commander";
import { EXIT, EXIT_CODES_HELP, type Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import { addAclCommand } from "./acl.ts";
import { addAuditCommands } from "./audit.ts";
import { addBackupCommands } from "./backup.ts";
import { addCommandCommands } from "./command.ts";
import { addDoctorCommand } from "./doctor.ts";
import { addEntryCommands } from "./entry.ts";
import type { Act } from "./groups.ts";
import { addMachineCommands } from "./machine.ts";
import { addPrivacyCommands } from "./privacy.ts";
import { printProblem, runAction } from "./run.ts";
import { addReplayCommand } from "./replay.ts";
import { addRolloutCommands } from "./rollout.ts";
import { addSessionCommands } from "./session.ts";
import { addSignInCommands } from "./sign-in.ts";
import { addStandbyCommands } from "./standby.ts";
import { addTlsCommands } from "./tls.ts";
import { addUserCommands } from "./user.ts";
import { addWitnessCommands } from "./witness.ts";
import { addVerifyCommand } from "./verify.ts";

const ENVIRONMENT_HELP = `Signs in, in this order, with
  RASTRO_USER and RASTRO_PASSWORD, what "rastro login" stored, or the hub's local key (<data>/keys/local-admin).
Finds the hub by RASTRO_URL (its HTTP address), RASTRO_DATA (the data folder, when on the hub), RASTRO_HTTP_PORT,
  RASTRO_MQTT_PORT and RASTRO_BROKER_URL.`;

const EXAMPLES = `Examples:
  rastro setup --code 7KQ2-M4XW                             the first administrator, after the first start
  rastro user add maria --profile operator                  asks for the password
  rastro entry add --machine press-1 --lot L-204 --good 118 --scrap 2 --defect burr
  rastro entry totals --json
  rastro audit verify && echo intact`;

/**
 * Runs one command of `rastro`.
 *
 * @param argv - what follows the program's name.
 * @returns the exit code.
 */
export async function runCli(argv: string[], terminal: Terminal): Promise<number> {
  let exit: number = EXIT.done;
  const act: Act = (command, work) => {
    command.option("--json", "print exactly one JSON value");
    command.action(async (...args: unknown[]) => {
      const json = command.opts()["json"] === true;
      exit = await runAction(terminal, json, () => (work as (...given: unknown[]) => Promise<Outcome>)(...args));
    });
  };
  const program = createProgram(act, terminal);
  try {
    await program.parseAsync(argv, { from: "user" });
    return exit;
  } catch (error) {
    if (!(error instanceof UsageFault)) throw error;
    return error.exit(argv, terminal);
  }
}

function createProgram(act: Act, terminal: Terminal): Command {
  const program = new Command("rastro")
    .description("Enters, reads and proves production records of a Rastro hub.")
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      // What commander would say of an error is said by UsageFault, once.
      writeErr: () => {},
      getOutHelpWidth: () => terminal.stdout.columns ?? 110,
    })
    .addHelpText("after", `\n${EXAMPLES}\n\n${EXIT_CODES_HELP}\n\n${ENVIRONMENT_HELP}`);
  const groups = { program, act, terminal };
  addSignInCommands(groups);
  addUserCommands(groups);
  addSessionCommands(groups);
  addPrivacyCommands(groups);
  addTlsCommands(groups);
  addMachineCommands(groups);
  addCommandCommands(groups);
  addRolloutCommands(groups);
  addEntryCommands(groups);
  addAuditCommands(groups);
  addVerifyCommand(groups);
  addBackupCommands(groups);
  addStandbyCommands(groups);
  addReplayCommand(groups);
  addAclCommand(groups);
  addWitnessCommands(groups);
  addDoctorCommand(groups);
  for (const command of withChildren(program)) {
    command.exitOverride((error) => {
      throw new UsageFault(error, command);
    });
  }
  return program;
}

function withChildren(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withChildren)];
}

/** What commander throws instead of ending the process: help that was asked for, or wrong usage of a command. */
class UsageFault extends Error {
  readonly #error: CommanderError;
  readonly #command: Command;

  constructor(error: CommanderError, command: Command) {
    super(error.message);
    this.#error = error;
    this.#command = command;
  }

  /** Prints one sentence that says what is expected. @returns the exit code. */
  exit(argv: string[], terminal: Terminal): number {
    if (this.#error.exitCode === 0) return EXIT.done;
    const path = pathOf(this.#command);
    const fault = this.#isMissingCommand() ? "no command was given" : withoutPrefix(this.#error.message);
    const expected = `${path} ${this.#command.usage()}`;
    const message = `Reading the command failed: ${fault}; expected: ${expected} ("${path} --help" explains).`;
    return printProblem(terminal, argv.includes("--json"), { code: "schema", message, expected });
  }

  /** Commander prints the help as an error when a command with children is called without one. */
  #isMissingCommand(): boolean {
    return this.#error.code === "commander.help";
  }
}

function withoutPrefix(message: string): string {
  return message
    .replace(/^error: /, "")
    .replace(/\n\((.*)\)$/, " ($1)")
    .replaceAll("\n", " ")
    .trim()
    .replace(/\.$/, "");
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
