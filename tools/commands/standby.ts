import type { Groups } from "./groups.ts";

export type AddOptions = { url?: string };
export type JoinOptions = { repin?: true };
export type PromoteOptions = { to?: string; reason: string; yes?: true; olderOnPurpose?: true };
export type RestoreOptions = PromoteOptions & { book: string; from?: string };
export type StartOverOptions = { book: string; yes?: true };

const load = () => import("./standby-run.ts");

/** `standby run|key|add|remove|join|status|promote|restore|start-over`. */
export function addStandbyCommands({ program, act, terminal }: Groups): void {
  const standby = program
    .command("standby")
    .description("a proven copy of both books on another computer; by itself it runs there")
    .addHelpText(
      "after",
      "\ndocs/standby.md tells how it joins, what it promises, and what to do when the hub is lost.",
    );

  const run = standby
    .command("run", { isDefault: true })
    .description("follow the plant that this standby has joined; ends with Ctrl-C or SIGTERM");
  act(run, async () => (await load()).runStandby());

  const key = standby
    .command("key")
    .description("show this standby's public key, which is made at the first time; on the standby's computer");
  act(key, async () => (await load()).showKey(terminal));

  const add = standby
    .command("add")
    .argument("<public-key>", 'what "rastro standby key" shows there')
    .description("register a standby and print what it joins with; on the hub's own machine")
    .option("--url <address>", "where the standby finds the broker: mqtts://host:port")
    .addHelpText("after", "\nExample:\n  rastro standby add 5Vv…A= --url mqtts://hub.plant.example:8883");
  act(add, async (publicKey: string, options: AddOptions) => (await load()).addStandby(terminal, publicKey, options));

  const remove = standby
    .command("remove")
    .description("let the standby in no more; on the hub's own machine, or as administrator");
  act(remove, async () => (await load()).removeStandby(terminal));

  const join = standby
    .command("join")
    .argument("<invitation>", 'the line that "rastro standby add" prints')
    .description("pin the plant's address, authority and log keys; on the standby's computer")
    .option("--repin", "take other log keys than those that were pinned before")
    .addHelpText("after", "\nExample:\n  rastro standby join eyJ2IjoxLC…");
  act(join, async (invitation: string, options: JoinOptions) => (await load()).join(terminal, invitation, options));

  const status = standby
    .command("status")
    .description("how much of each book is proven on the standby, as it last said; exit code 1 when something is wrong")
    .addHelpText("after", "\nExample:\n  rastro standby status");
  act(status, async () => (await load()).showStatus(terminal));

  const promote = standby
    .command("promote")
    .description("make this computer's copies the books of a plant whose hub is gone for good")
    .option("--to <folder>", "the data folder that they become part of; this one's own unless told")
    .requiredOption("--reason <text>", "why, for the record")
    .option("--older-on-purpose", "also when more is known to have been in a book than is proven here")
    .option("--yes", "the hub is gone: two plants of one name would tell two histories")
    .addHelpText("after", '\nExample:\n  rastro standby promote --reason "The hub burned on Monday" --yes');
  act(promote, async (options: PromoteOptions) => (await load()).runPromote(terminal, options));

  const restore = standby
    .command("restore")
    .description("put a book that a hub has lost back from a standby's copy; its service has to be stopped")
    .requiredOption("--book <name>", "audit or production")
    .option("--from <folder>", "the standby's data folder, or a copy of it; this one's own unless told")
    .option("--to <folder>", "the hub's data folder; this one's own unless told")
    .requiredOption("--reason <text>", "why, for the record")
    .option("--older-on-purpose", "also when more is known to have been in the book than is proven there")
    .option("--yes", "what is in the book's place is moved aside")
    .addHelpText(
      "after",
      '\nExample:\n  rastro standby restore --book audit --from /mnt/standby --reason "Disk replaced" --yes',
    );
  act(restore, async (options: RestoreOptions) => (await load()).runRestore(terminal, options));

  const startOver = standby
    .command("start-over")
    .description("give up what a diverged copy got after its proven checkpoint, and follow again from there")
    .requiredOption("--book <name>", "audit or production")
    .option("--yes", "what happened has been found out")
    .addHelpText("after", "\nExample:\n  rastro standby start-over --book audit --yes");
  act(startOver, async (options: StartOverOptions) => (await load()).runStartOver(terminal, options));
}
