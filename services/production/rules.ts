import type { Principal } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { Entry, EntryFields } from "../../lib/contracts/production.ts";
import { canonicalText } from "../../lib/ledger/canonical.ts";
import type { EntryState } from "./entry-state.ts";
import { nearestSentence } from "./nearest.ts";
import { entryFlags } from "./time-flags.ts";

/** What the service adds to a change that stands: the version that it makes, and what it found. */
export type Judgement = {
  rev: number;
  before: EntryFields | null;
  after: EntryFields | null;
  flags: Entry["flags"];
};

/** The names that the rules ask for. Live: the directory pushes changes. */
export type Names = {
  byName(name: string): Principal | undefined;
  bySub(sub: string): Principal | undefined;
  all(): Iterable<Principal>;
};

/** @throws RastroError `unknown_machine` naming those that are spelled alike. */
export function requireMachine(names: Names, machine: string): void {
  if (isMachine(names, machine)) return;
  const registered = [...names.all()].filter((one) => one.kind === "machine" && one.active).map((one) => one.name);
  throw new RastroError({
    code: "unknown_machine",
    message: `Booking an entry for machine "${machine}" failed: no machine of this id is registered and active.${nearestSentence(machine, registered)}`,
    field: "fields.machine",
    given: machine,
    expected: "the id of a registered machine",
  });
}

/** A person (null) may report for any registered machine, a machine only for those that the register lists with it. */
export function requireSpokenFor(from: Principal | null, machine: string): void {
  if (from === null || speaksFor(from, machine)) return;
  throw new RastroError({
    code: "not_spoken_for",
    message: `Booking an entry for machine "${machine}" failed: ${from.name} is not registered to speak for it.`,
    field: "fields.machine",
    given: machine,
    expected: `one of ${[from.name, ...from.speaksFor].slice(0, 10).join(", ")}`,
  });
}

/** For which of these machines entries of the reporter would be refused, and why: the rules above, asked beforehand. */
export function checkReporter(
  names: Pick<Names, "byName">,
  reporter: string,
  machines: readonly string[],
): { unknown: string[]; notSpokenFor: string[] } {
  const from = names.byName(reporter);
  const known = machines.filter((machine) => isMachine(names, machine));
  return {
    unknown: machines.filter((machine) => !known.includes(machine)),
    notSpokenFor: known.filter((machine) => from === undefined || !speaksFor(from, machine)),
  };
}

function isMachine(names: Pick<Names, "byName">, machine: string): boolean {
  const principal = names.byName(machine);
  return principal?.kind === "machine" && principal.active;
}

function speaksFor(from: Principal, machine: string): boolean {
  return from.name === machine || from.speaksFor.includes(machine);
}

/**
 * Judges a creation. It cannot fail for its time, and any lot is right: a lot opens with its first entry.
 *
 * @param from - the machine that vouches for it; null when a person does.
 */
export function judgeCreation(
  names: Names,
  from: Principal | null,
  entry: { fields: EntryFields; at: string; recv: string; unsigned: boolean },
): Judgement {
  requireMachine(names, entry.fields.machine);
  requireSpokenFor(from, entry.fields.machine);
  return { rev: 1, before: null, after: entry.fields, flags: entryFlags(entry) };
}

/**
 * Judges a correction against the entry as it is.
 *
 * @throws RastroError `version_conflict`, `entry_voided`, `unknown_machine`, `unknown_lot`, or `schema` for a
 *   correction that changes nothing.
 */
export function judgeCorrection(
  names: Names,
  head: EntryState,
  change: { rev: number; fields: EntryFields; at: string | null; lotIsKnown: (lot: string) => boolean },
): Judgement {
  requireHead(head, change.rev);
  requireDifference(head, change);
  // A machine may have left since: the entry stays correctable, but nothing moves to a machine that is not there.
  if (change.fields.machine !== head.fields.machine) requireMachine(names, change.fields.machine);
  if (!change.lotIsKnown(change.fields.lot)) throw unknownLot(change.fields.lot, "fields.lot", []);
  const unsigned = head.flags.includes("unsigned");
  const flags = entryFlags({ at: change.at ?? head.at, recv: head.recv, unsigned });
  return { rev: head.rev + 1, before: head.fields, after: change.fields, flags };
}

/** @throws RastroError `version_conflict` or `entry_voided`. */
export function judgeVoid(head: EntryState, rev: number): Judgement {
  requireHead(head, rev);
  return { rev: head.rev + 1, before: head.fields, after: null, flags: head.flags };
}

export function unknownLot(lot: string, field: string, known: Iterable<string>): RastroError {
  return new RastroError({
    code: "unknown_lot",
    message: `Looking for lot "${lot}" failed: no entry was ever made for it.${nearestSentence(lot, known)}`,
    field,
    given: lot,
    expected: "a lot that has an entry",
  });
}

export function unknownEntry(id: string): RastroError {
  return new RastroError({
    code: "unknown_entry",
    message: `Looking for entry ${id} failed: no entry of this id is in the book.`,
    field: "id",
    given: id,
    expected: "the id of an entry in the book",
  });
}

function requireHead(head: EntryState, rev: number): void {
  if (head.state === "voided") {
    throw new RastroError({
      code: "entry_voided",
      message: `Changing entry ${head.id} failed: it was voided with version ${head.rev}, and a voided entry cannot be changed.`,
      field: "id",
      given: head.id,
      expected: "an entry that is not voided",
    });
  }
  if (head.rev !== rev) {
    throw new RastroError({
      code: "version_conflict",
      message: `Changing version ${rev} of entry ${head.id} failed: it is at version ${head.rev} by now.`,
      field: "rev",
      given: String(rev),
      expected: String(head.rev),
    });
  }
}

function requireDifference(head: EntryState, change: { fields: EntryFields; at: string | null }): void {
  if (change.at !== null && change.at !== head.at) return;
  if (canonicalText(change.fields) !== canonicalText(head.fields)) return;
  throw new RastroError({
    code: "schema",
    message: `Correcting entry ${head.id} failed: fields say what version ${head.rev} says already; expected: a difference.`,
    field: "fields",
    given: "no difference",
    expected: `something other than version ${head.rev}`,
  });
}
