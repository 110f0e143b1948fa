import type { CreateOptions, ListOptions, VerifyOptions } from "./backup-run.ts";
import type { RestoreCommandOptions } from "./backup-restore.ts";
import type { Groups } from "./groups.ts";

const STORES = "production, audit, fleet, directory, people-keys, sessions";

/** `backup list|create|verify|restore`. */
export function addBackupCommands({ program, act, terminal }: Groups): void {
  const backup = program.command("backup").description(`back up and restore what Rastro keeps: ${STORES}`);

  const list = backup
    .command("list")
    .argument("[stores...]", "only of these; all when left out")
    .description("the backups that there are, newest first; while Rastro is stopped: those in the folder here")
    .addHelpText("after", "\nExample:\n  rastro backup list production");
  act(list, async (stores: string[], _options: ListOptions) =>
    (await import("./backup-run.ts")).runList(terminal, stores),
  );

  const create = backup
    .command("create")
    .argument("[stores...]", "all when left out")
    .description("back stores up while Rastro runs; each backup is read back before it counts")
    .addHelpText("after", "\nExample:\n  rastro backup create production audit");
  act(create, async (stores: string[], _options: CreateOptions) =>
    (await import("./backup-run.ts")).runCreate(terminal, stores),
  );

  const verify = backup
    .command("verify")
    .argument("<store|file>", "a store, whose service reads the backup; or the path of a backup, which is read here")
    .argument("[name]", "the backup of the store; the newest when left out")
    .description("read a backup through and recompute every hash; exit code 1 when it is damaged")
    .addHelpText(
      "after",
      "\nExamples:\n  rastro backup verify production\n  rastro backup verify ./copied.rastro-backup",
    );
  act(verify, async (which: string, name: string | undefined, _options: VerifyOptions) =>
    (await import("./backup-run.ts")).runVerify(terminal, which, name),
  );

  const restore = backup
    .command("restore")
    .argument("<store>", STORES)
    .argument("[backup]", "name or path of the backup; the newest when left out")
    .description("put a backup in the place of a store, on this computer, while Rastro is stopped")
    .option("--witnessed <file>", "a checkpoint that somebody else kept: the backup must not be older than it")
    .option("--older-on-purpose", "restore although more is known of the book than the backup has; needs --reason")
    .option("--reason <text>", "why; goes on record with the restore")
    .addHelpText(
      "after",
      "\nWhat is there is moved aside, never deleted.\n\nExample:\n  rastro backup restore production",
    );
  act(restore, async (store: string, which: string | undefined, options: RestoreCommandOptions) =>
    (await import("./backup-restore.ts")).runRestore(terminal, { store, which, options }),
  );
}
