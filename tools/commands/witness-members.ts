import type { Command } from "commander";
import type { Groups } from "./groups.ts";
import type { AddOptions, PolicyOptions, RemoveOptions } from "./witness-members-run.ts";

type NoOptions = Record<string, never>;

/** `witness list|add|remove|policy`: the witnesses that the plant's books ask. */
export function addWitnessMemberCommands(witness: Command, { act, terminal }: Omit<Groups, "program">): void {
  const list = witness
    .command("list")
    .description(
      "who witnesses the plant's books, whether each counts, and what it cosigned last; exit code 1 on trouble",
    )
    .addHelpText("after", "\nExample:\n  rastro witness list");
  act(list, async (_options: NoOptions) => (await import("./witness-members-run.ts")).runList(terminal));

  const add = witness
    .command("add")
    .argument("<name>", "a machine's name, or for a witness with an address any name")
    .argument("[vkey]", "its key, as rastro witness show prints it; left out: the one that the machine has offered")
    .description("let a witness in; administrators only")
    .option("--url <address>", "where it is asked over HTTP (C2SP tlog-witness); without it over MQTT")
    .requiredOption("--reason <text>", "why, in at least 10 characters; it is kept in the audit book")
    .addHelpText(
      "after",
      '\nExamples:\n  rastro witness add ipc-07 --reason "checked on the spot"\n  rastro witness add office example.org/w1+f6a2a9c2+BA… --url https://witness.example.org --reason "our lawyer\'s office"',
    );
  act(add, async (name: string, vkey: string | undefined, options: AddOptions) =>
    (await import("./witness-members-run.ts")).runAdd(terminal, name, vkey, options),
  );

  const remove = witness
    .command("remove")
    .argument("<name>", "as rastro witness list shows it")
    .description("take a witness out; it comes back only by rastro witness add; administrators only")
    .requiredOption("--reason <text>", "why, in at least 10 characters; it is kept in the audit book")
    .addHelpText("after", '\nExample:\n  rastro witness remove ipc-07 --reason "the machine was stolen"');
  act(remove, async (name: string, options: RemoveOptions) =>
    (await import("./witness-members-run.ts")).runRemove(terminal, name, options),
  );

  const policy = witness
    .command("policy")
    .description("the plant's trust policy (C2SP tlog-policy): logs, witnesses, quorum; keep a copy elsewhere")
    .option("-o, --out <file>", "write it to a file")
    .addHelpText("after", "\nExample:\n  rastro witness policy -o plant.policy");
  act(policy, async (options: PolicyOptions) =>
    (await import("./witness-members-run.ts")).runPolicy(terminal, options),
  );
}
