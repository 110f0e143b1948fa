import type { Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import type { Groups } from "./groups.ts";
import { addWitnessMemberCommands } from "./witness-members.ts";

type NoOptions = Record<string, never>;

/** `witness` (which runs one), `witness show`, `witness renew`; and those that the plant's books ask. */
export function addWitnessCommands({ program, act, terminal }: Groups): void {
  const witness = program
    .command("witness")
    .description("a witness of its own, for another building; without a command it runs until Ctrl-C");

  const run = witness
    .command("run", { isDefault: true })
    .description("run a witness: logs ask it over HTTP (C2SP tlog-witness)")
    .addHelpText(
      "after",
      `
Reads RASTRO_DATA (a folder of its own), RASTRO_WITNESS_LOGS (file with the hub's keys/books/*.pub, a line each),
RASTRO_WITNESS_PORT, and RASTRO_WITNESS_CERTIFICATE and RASTRO_WITNESS_KEY for TLS; docs/witnesses.md has all of it.

Example:
  RASTRO_DATA=/srv/witness RASTRO_WITNESS_LOGS=/etc/rastro/logs rastro witness`,
    );
  act(run, (_options: NoOptions) => work().then(({ runWitness }) => runWitness(terminal)));

  const show = witness
    .command("show")
    .description("show this computer's own witness: its key, what it has cosigned of each log, its alarms")
    .addHelpText("after", "\nExample:\n  rastro witness show");
  act(show, (_options: NoOptions) => work().then(({ showWitness }) => showWitness(terminal)));

  const renew = witness
    .command("renew")
    .description("have this computer's witness begin anew, with another key; what it had is put aside")
    .addHelpText(
      "after",
      "\nFor a book that has to go on with another history, or a note that is damaged (docs/witnesses.md). Start the\nagent or the witness anew afterwards, and let the new key in: rastro witness add.\n\nExample:\n  rastro witness renew",
    );
  act(renew, (_options: NoOptions) => work().then(({ renewWitness }) => renewWitness(terminal)));

  addWitnessMemberCommands(witness, { act, terminal });
}

function work(): Promise<{
  runWitness: (terminal: Terminal) => Promise<Outcome>;
  showWitness: (terminal: Terminal) => Promise<Outcome>;
  renewWitness: (terminal: Terminal) => Promise<Outcome>;
}> {
  return import("./witness-run.ts");
}
