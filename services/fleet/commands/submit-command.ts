import type { Principal } from "../../../lib/contracts/directory.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import type { CommandRecord, NewCommand } from "./command-record.ts";
import type { CommandStore } from "./command-store.ts";

/**
 * Takes a new command up: on disk, and sent if it is signed and its machine is there. Null when the id is there already.
 *
 * @throws RastroError `unknown_machine`, `busy`.
 */
export type Submit = (made: NewCommand) => Promise<CommandRecord | null>;

export function createSubmit(o: {
  commands: Pick<CommandStore, "add">;
  byName: (name: string) => Principal | undefined;
  /** Called when a command was queued for a machine. */
  onQueued: (machine: string) => void;
}): Submit {
  return async (made) => {
    const { machine } = made.command;
    requireMachine(o.byName(machine), machine);
    const added = await o.commands.add(made);
    if (added !== null && added.signed !== null) o.onQueued(machine);
    return added;
  };
}

/** @throws RastroError `unknown_machine` for what is none that is let in. */
export function requireMachine(principal: Principal | undefined, id: string): void {
  if (principal?.kind === "machine" && principal.active) return;
  throw new RastroError({
    code: "unknown_machine",
    message: `Sending a command to "${id}" failed: no machine of this id is registered; machine-list names those that are.`,
    field: "machine",
    given: id,
    expected: "the id of a registered machine",
  });
}
