import type { CommandName, Issuer } from "../../../lib/contracts/commands.ts";
import type { Principal } from "../../../lib/contracts/directory.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import type { RequestOf, ResponseOf } from "../../../lib/contracts/operations.ts";
import { ROLLOUT_MACHINES_MAXIMUM, type RolloutView } from "../../../lib/contracts/rollouts.ts";
import { canonicalText } from "../../../lib/ledger/canonical.ts";
import { nameOf } from "../../../lib/messaging/principals.ts";
import type { Caller } from "../../../lib/messaging/request-server.ts";
import { personOf } from "../commands/command-handlers.ts";
import { requireNamedPerson, requireSecondPerson } from "../commands/second-person.ts";
import { type AskedRollout, lastStep, type RolloutRecord, rolloutRow, rolloutView } from "./rollout-record.ts";
import type { RolloutStore } from "./rollout-store.ts";
import type { CommandPort, Runner } from "./runner.ts";

type Begin = RequestOf<"fleet", "rollout-begin">;
type ById = RequestOf<"fleet", "rollout-show">;

export type RolloutHandlers = {
  "rollout-begin": (body: Begin, caller: Caller) => Promise<RolloutView>;
  "rollout-approve": (body: ById, caller: Caller) => Promise<RolloutView>;
  "rollout-cancel": (body: ById, caller: Caller) => Promise<RolloutView>;
  "rollout-show": (body: ById) => RolloutView;
  "rollout-list": (body: RequestOf<"fleet", "rollout-list">) => Promise<ResponseOf<"fleet", "rollout-list">>;
};

/**
 * Answers who has one command sent to many machines. What a person brought about is on disk, with the event for audit,
 * before it is answered; asking again changes nothing and gets the same.
 */
export function createRolloutHandlers(o: {
  rollouts: RolloutStore;
  runner: Runner;
  commands: Pick<CommandPort, "find">;
  needsApproval: (name: CommandName) => boolean;
  /** @throws RastroError `schema` when the arguments do not fit the catalogue, `too_large`. */
  checkCommand: (asked: AskedRollout, issuer: Issuer) => void;
  names: { bySub(sub: string): Principal | undefined; all(): Principal[] };
  now: () => number;
}): RolloutHandlers {
  const whose = (sub: string) => nameOf(o.names, sub);
  const view = (record: RolloutRecord) => rolloutView(record, o.commands.find, whose);
  const at = () => new Date(o.now()).toISOString();

  function known(id: string, doing: string): RolloutRecord {
    const record = o.rollouts.find(id);
    if (record === undefined) throw unknownRollout(id, doing);
    return record;
  }

  function newRecord(given: Begin, issuer: Issuer): RolloutRecord {
    const machines = machinesOf(o.names.all(), given.machines);
    const asked = { ...given, machines };
    const needsApproval = o.needsApproval(given.name);
    if (needsApproval) requireNamedPerson(issuer, given.name);
    o.checkCommand(asked, issuer);
    const state = needsApproval ? "pending-approval" : "running";
    const approveBy = needsApproval ? new Date(o.now() + given.approvalMs).toISOString() : null;
    return {
      asked,
      issuer,
      approvals: [],
      approveBy,
      waves: [],
      history: [{ state, at: at(), by: issuer, tally: null }],
    };
  }

  return {
    async "rollout-begin"(given, caller) {
      const issuer = personOf(caller);
      const there = o.rollouts.find(given.id);
      const added = there === undefined ? await o.rollouts.add(newRecord(given, issuer)) : null;
      if (added !== null) {
        o.runner.watchApproval(added);
        await o.runner.advance(given.id);
      }
      const record = known(given.id, "Beginning");
      if (added === null && !isSame(record, given, issuer)) throw idTaken(given.id);
      return view(record);
    },
    async "rollout-approve"({ id }, caller) {
      const by = personOf(caller);
      const record = known(id, "Approving");
      requireSecondPerson(by, record.issuer, record.asked.name);
      const approved = await o.rollouts.change(id, (before) => {
        const isWaiting =
          lastStep(before).state === "pending-approval" && Date.parse(before.approveBy ?? "") >= o.now();
        if (!isWaiting) return null;
        const step = { state: "running" as const, at: at(), by, tally: null };
        return { ...before, approvals: [{ by, at: step.at }], history: [...before.history, step] };
      });
      if (approved !== null) await o.runner.advance(id);
      const now = known(id, "Approving");
      if (now.approvals.some((earlier) => earlier.by.sub === by.sub)) return view(now);
      throw tooLate("Approving", now, "one that waits for approval");
    },
    async "rollout-cancel"({ id }, caller) {
      known(id, "Cancelling");
      const cancelled = await o.runner.end(id, "cancelled", personOf(caller));
      if (cancelled !== null) return view(cancelled);
      const now = known(id, "Cancelling");
      if (lastStep(now).state === "cancelled") return view(now);
      throw tooLate("Cancelling", now, "one that is under way");
    },
    "rollout-show": ({ id }) => view(known(id, "Showing")),
    async "rollout-list"(asked) {
      const { records, next } = await o.rollouts.list(asked);
      return { rollouts: records.map((record) => rolloutRow(record, o.commands.find, whose)), next };
    },
  };
}

/** The machines by name: those that are asked for, or all that are let in and sign in themselves. */
function machinesOf(all: Principal[], given: string[] | null): string[] {
  const machines = all.filter(({ kind, active }) => kind === "machine" && active);
  if (given === null) return everyMachine(machines.filter(({ credential }) => credential !== "none"));
  const known = new Set(machines.map(({ name }) => name));
  const unknown = given.find((id) => !known.has(id));
  if (unknown === undefined) return given;
  throw new RastroError({
    code: "unknown_machine",
    message: `Beginning the rollout failed: no machine "${unknown}" is registered; machine-list names those that are.`,
    field: "machines",
    given: unknown,
    expected: "ids of registered machines",
  });
}

function everyMachine(machines: Principal[]): string[] {
  const names = machines.map(({ name }) => name).toSorted();
  if (names.length > 0 && names.length <= ROLLOUT_MACHINES_MAXIMUM) return names;
  throw new RastroError({
    code: "schema",
    message: `Beginning the rollout failed: ${names.length} machines are registered; expected: 1 to ${ROLLOUT_MACHINES_MAXIMUM}, or name them.`,
    field: "machines",
    given: String(names.length),
  });
}

/** Asked for all machines, it stays the same when more have come since. */
function isSame({ asked, issuer }: RolloutRecord, given: Begin, by: Issuer): boolean {
  const machines = given.machines ?? asked.machines;
  return issuer.sub === by.sub && canonicalText(asked) === canonicalText({ ...given, machines });
}

function idTaken(id: string): RastroError {
  return new RastroError({
    code: "id_conflict",
    message: `Beginning rollout ${id} failed: the id was used before for another one; use a new one.`,
    field: "id",
    given: id,
  });
}

function unknownRollout(id: string, doing: string): RastroError {
  return new RastroError({
    code: "unknown_command",
    message: `${doing} rollout ${id} failed: the fleet has none of this id, or it ended more than 30 days ago.`,
    field: "id",
    given: id,
    expected: "the id of a rollout",
  });
}

function tooLate(doing: string, record: RolloutRecord, expected: string): RastroError {
  const { state } = lastStep(record);
  return new RastroError({
    code: "too_late",
    message: `${doing} rollout ${record.asked.id} failed: it is ${state}; expected: ${expected}.`,
    field: "id",
    given: state,
    expected,
  });
}
