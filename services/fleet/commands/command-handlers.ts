import type { Command, CommandRow, CommandView, SignedCommand } from "../../../lib/contracts/commands.ts";
import type { Principal } from "../../../lib/contracts/directory.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import type { RequestOf } from "../../../lib/contracts/operations.ts";
import { nameOf } from "../../../lib/messaging/principals.ts";
import type { Caller } from "../../../lib/messaging/request-server.ts";
import { rowOf, viewOf, type CommandRecord, type Progress } from "./command-record.ts";
import type { CommandStore } from "./command-store.ts";
import { type Asked, isSameCommand } from "./issue-command.ts";

export type CommandHandlers = {
  "command-send": (body: Asked, caller: Caller) => Promise<CommandView>;
  "command-show": (body: RequestOf<"fleet", "command-show">) => CommandView;
  "command-list": (
    body: RequestOf<"fleet", "command-list">,
  ) => Promise<{ commands: CommandRow[]; next: string | null }>;
};

/** Answers who asks for a command, and who asks after one. A command is on disk before it is answered. */
export function createCommandHandlers(o: {
  commands: Pick<CommandStore, "find" | "add" | "list">;
  issue: (asked: Asked, issuer: Command["issuer"]) => { signed: SignedCommand; command: Command };
  /** Called when a command was queued for a machine. */
  onQueued: (machine: string) => void;
  progressOf: (id: string) => Progress | null;
  names: { byName(name: string): Principal | undefined; bySub(sub: string): Principal | undefined };
}): CommandHandlers {
  const whose = (sub: string) => nameOf(o.names, sub);
  const view = (record: CommandRecord) => viewOf(record, whose, o.progressOf(record.command.id));

  return {
    async "command-send"(asked, caller) {
      const issuer = { sub: caller.sub, auth: caller.auth, profile: caller.profile };
      requireMachine(o.names.byName(asked.machine), asked.machine);
      const made = o.issue(asked, issuer);
      const added = o.commands.find(asked.id) === undefined ? await o.commands.add(made) : null;
      if (added !== null) {
        o.onQueued(asked.machine);
        return view(added);
      }
      const known = o.commands.find(asked.id);
      if (known === undefined || !isSameCommand(known.command, made.command)) throw idTaken(asked.id);
      return view(known);
    },
    "command-show"({ id }) {
      const record = o.commands.find(id);
      if (record === undefined) throw unknownCommand(id);
      return view(record);
    },
    async "command-list"(asked) {
      const { records, next } = await o.commands.list(asked);
      return { commands: records.map((record) => rowOf(record, whose)), next };
    },
  };
}

function requireMachine(principal: Principal | undefined, id: string): void {
  if (principal?.kind === "machine" && principal.active) return;
  throw new RastroError({
    code: "unknown_machine",
    message: `Sending a command to "${id}" failed: no machine of this id is registered; machine-list names those that are.`,
    field: "machine",
    given: id,
    expected: "the id of a registered machine",
  });
}

function idTaken(id: string): RastroError {
  return new RastroError({
    code: "id_conflict",
    message: `Sending command ${id} failed: the id was used before for another command; use a new one.`,
    field: "id",
    given: id,
  });
}

function unknownCommand(id: string): RastroError {
  return new RastroError({
    code: "unknown_command",
    message: `Showing command ${id} failed: the fleet has none of this id, or it ended more than 30 days ago.`,
    field: "id",
    given: id,
    expected: "the id of a command",
  });
}
