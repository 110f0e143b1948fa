import type { CommandRow, CommandView, Issuer } from "../../../lib/contracts/commands.ts";
import type { Principal } from "../../../lib/contracts/directory.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import type { RequestOf } from "../../../lib/contracts/operations.ts";
import { nameOf } from "../../../lib/messaging/principals.ts";
import type { Caller } from "../../../lib/messaging/request-server.ts";
import { rowOf, viewOf, type CommandRecord, type Progress, stepOf } from "./command-record.ts";
import type { CommandStore } from "./command-store.ts";
import { type Asked, isSameCommand, type Issuing } from "./issue-command.ts";
import { requireNamedPerson, requireSecondPerson } from "./second-person.ts";
import { requireMachine, type Submit } from "./submit-command.ts";

type ById = RequestOf<"fleet", "command-show">;

export type CommandHandlers = {
  "command-send": (body: Asked, caller: Caller) => Promise<CommandView>;
  "command-approve": (body: ById, caller: Caller) => Promise<CommandView>;
  "command-cancel": (body: ById, caller: Caller) => Promise<CommandView>;
  "command-show": (body: ById) => CommandView;
  "command-list": (
    body: RequestOf<"fleet", "command-list">,
  ) => Promise<{ commands: CommandRow[]; next: string | null }>;
};

/**
 * Answers who asks for a command, agrees to one, calls one back or asks after one. What a person brought about is on
 * disk, with the event for audit, before it is answered; asking again changes nothing and gets the same.
 */
export function createCommandHandlers(o: {
  commands: Pick<CommandStore, "find" | "open" | "advance" | "list">;
  issuing: Issuing;
  submit: Submit;
  /** Called when a command was queued for a machine. */
  onQueued: (machine: string) => void;
  progressOf: (id: string) => Progress | null;
  names: { byName(name: string): Principal | undefined; bySub(sub: string): Principal | undefined };
  now: () => number;
}): CommandHandlers {
  const whose = (sub: string) => nameOf(o.names, sub);
  const view = (record: CommandRecord) => viewOf(record, whose, o.progressOf(record.command.id));

  function known(id: string, doing: string): CommandRecord {
    const record = o.commands.find(id);
    if (record === undefined) throw unknownCommand(id, doing);
    return record;
  }

  return {
    async "command-send"(asked, caller) {
      const issuer = personOf(caller);
      requireMachine(o.names.byName(asked.machine), asked.machine);
      if (o.issuing.needsApproval(asked.name)) requireNamedPerson(issuer, asked.name);
      const made = o.issuing.make(asked, issuer);
      const added = o.commands.find(asked.id) === undefined ? await o.submit(made) : null;
      if (added !== null) return view(added);
      const there = o.commands.find(asked.id);
      if (there === undefined || !isSameCommand(there, made)) throw idTaken(asked.id);
      return view(there);
    },
    async "command-approve"({ id }, caller) {
      const by = personOf(caller);
      const record = known(id, "Approving");
      const { command } = record;
      requireSecondPerson(by, command.issuer, command.name);
      requireMachine(o.names.byName(command.machine), command.machine);
      const approved = isDue(record, o.now())
        ? await o.commands.advance(id, { kind: "approved", by, made: o.issuing.approve(record, by) })
        : null;
      if (approved !== null) {
        o.onQueued(command.machine);
        return view(approved);
      }
      const now = known(id, "Approving");
      if (now.command.approvals.some((earlier) => earlier.by.sub === by.sub)) return view(now);
      throw tooLate("Approving", now, "one that waits for approval");
    },
    async "command-cancel"({ id }, caller) {
      known(id, "Cancelling");
      const cancelled = await o.commands.advance(id, { kind: "cancelled", by: personOf(caller) });
      if (cancelled !== null) return view(cancelled);
      const now = known(id, "Cancelling");
      if (stepOf(now).state === "cancelled") return view(now);
      throw tooLate("Cancelling", now, "one that its machine has not acknowledged");
    },
    "command-show": ({ id }) => view(known(id, "Showing")),
    async "command-list"(asked) {
      const { records, next } = asked.pending ? pending(o.commands, asked.machine) : await o.commands.list(asked);
      return { commands: records.map((record) => rowOf(record, whose)), next };
    },
  };
}

/** A person as a signed command and the book name one. */
export function personOf({ sub, auth, profile }: Caller): Issuer {
  return { sub, auth, profile };
}

/** Whether a command waits for approval and may still get it; its deadline may be noticed a moment late. */
function isDue({ signed, command }: CommandRecord, now: number): boolean {
  return signed === null && Date.parse(command.notAfter) >= now;
}

function pending(commands: Pick<CommandStore, "open">, machine: string | null) {
  const records = commands.open(machine ?? undefined).filter((record) => record.signed === null);
  return { records: records.toReversed(), next: null };
}

function idTaken(id: string): RastroError {
  return new RastroError({
    code: "id_conflict",
    message: `Sending command ${id} failed: the id was used before for another command; use a new one.`,
    field: "id",
    given: id,
  });
}

function tooLate(doing: string, record: CommandRecord, expected: string): RastroError {
  const { state } = stepOf(record);
  return new RastroError({
    code: "too_late",
    message: `${doing} command ${record.command.id} failed: it is ${state}; expected: ${expected}.`,
    field: "id",
    given: state,
    expected,
  });
}

function unknownCommand(id: string, doing: string): RastroError {
  return new RastroError({
    code: "unknown_command",
    message: `${doing} command ${id} failed: the fleet has none of this id, or it ended more than 30 days ago.`,
    field: "id",
    given: id,
    expected: "the id of a command",
  });
}
