import type { BookName } from "../../../lib/contracts/names.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { Claim } from "./alarm-intake.ts";
import type { BehindBooks } from "./behind.ts";
import type { Outcome } from "./exchange.ts";
import type { Member } from "./standing.ts";
import type { TroubleLog } from "./trouble-log.ts";
import type { Trouble } from "./troubles.ts";
import { asSigned, type WitnessedLog } from "./witnessed-log.ts";

/** What is made of that which witnesses answer and say by themselves. */
export interface Judgements {
  /** What came of asking a witness about a log. */
  judge(member: Member, log: WitnessedLog, outcome: Outcome): Promise<void>;
  /** What a machine says of a log by itself, or with null that it takes it back. */
  takeClaim(machine: string, book: BookName, claim: Claim | null): void;
  /** It is no witness any more: nothing of it alone is wrong from now on. */
  forget(member: Member, log: WitnessedLog): void;
}

/**
 * A witness's word stops no book: only a checkpoint that the log itself has signed shows that there was more than there
 * is. Whoever says so without one has a fault of its own, which is told, and the others go on.
 *
 * @param o.heldBy - the checkpoint that a witness cosigned last for us.
 */
export function createJudgements(o: {
  logs: readonly WitnessedLog[];
  troubles: Pick<TroubleLog, "begin" | "end">;
  books: Pick<BehindBooks, "fall">;
  /** Whether a machine is a witness that was let in, and not revoked since. */
  isBelieved: (name: string) => boolean;
  heldBy: (member: Member, book: BookName) => string | null;
  log: Logger;
}): Judgements {
  /** Who says by itself that something is wrong with a book. */
  const accusers = new Set<string>();

  function cosigns({ name }: Member, { book }: WitnessedLog): void {
    const why = `The witness ${name} cosigns the book ${book} again.`;
    o.troubles.end({ type: "witness.refused", book, witness: name }, why);
    // An alarm of its own stands until somebody at the witness takes it back.
    if (accusers.has(`${book}/${name}`)) return;
    o.troubles.end({ type: "witness.unproven", book, witness: name }, why);
    o.troubles.end({ type: "witness.conflict", book, witness: name }, why);
  }

  function refused({ name }: Member, { book }: WitnessedLog, why: string): void {
    const message = `The witness ${name} does not cosign the book ${book}: ${why}.`;
    o.troubles.begin({ type: "witness.refused", book, witness: name, message, notes: null });
  }

  function contradicted(
    member: Member,
    { book }: WitnessedLog,
    { checkpoint, old, why }: Outcome & { kind: "conflict" },
  ): void {
    const { name } = member;
    const message = `The witness ${name} has cosigned ${old} records of the book ${book}, and the checkpoint over ${checkpoint.head.size} does not go on from there: ${why}. Keep a copy of the data folder: nobody but who holds the log's key can have made both.`;
    // Where its state is newer than what is kept here, the witness's own alarm brings the other note.
    const notes = { held: o.heldBy(member, book), offered: asSigned(checkpoint) };
    o.troubles.begin({ type: "witness.conflict", book, witness: name, message, notes });
  }

  async function claimedBehind({ machine, book, held }: Claim): Promise<void> {
    const log = o.logs.find((log) => log.book === book);
    if (log === undefined) return;
    if (held.checkpoint === null) return o.troubles.begin(unprovenBy(machine, book, "more records than there are"));
    const { size } = held.checkpoint.head;
    try {
      if ((await log.size()) < size) await o.books.fall({ book, size, by: machine });
    } catch (error) {
      o.log.warn({ err: error, machine, book }, "what a witness says of a lost tail could not be checked");
    }
  }

  function takenBack(machine: string, book: BookName): void {
    accusers.delete(`${book}/${machine}`);
    const why = `The witness ${machine} has taken its alarm back.`;
    for (const type of ["witness.conflict", "witness.unproven"] as const) {
      o.troubles.end({ type, book, witness: machine }, why);
    }
  }

  return {
    async judge(member, log, outcome) {
      const { name } = member;
      const { book } = log;
      if (outcome.kind === "cosigned") {
        await log.keepCosigned(outcome.checkpoint.head.size, outcome.lines);
        cosigns(member, log);
      } else if (outcome.kind === "ahead") await o.books.fall({ book, size: outcome.size, by: name });
      else if (outcome.kind === "unproven") o.troubles.begin(unprovenBy(name, book, `${outcome.size} records`));
      else if (outcome.kind === "conflict") contradicted(member, log, outcome);
      else if (outcome.kind === "refused") refused(member, log, outcome.why);
    },
    takeClaim(machine, book, claim) {
      if (claim === null) return takenBack(machine, book);
      accusers.add(`${book}/${machine}`);
      // Anybody may prove a fork by two signatures of the log; only who was let in is believed without.
      if (!o.isBelieved(machine) && !claim.isProven) return;
      if (claim.kind === "rolled-back") void claimedBehind(claim);
      else o.troubles.begin(conflictOf(claim));
    },
    forget({ name }, { book }) {
      for (const type of ["witness.refused", "witness.unproven", "witness.conflict"] as const) {
        o.troubles.end({ type, book, witness: name }, `The witness ${name} was removed, or its machine revoked.`);
      }
    },
  };
}

function unprovenBy(witness: string, book: BookName, what: string): Trouble {
  const message = `The witness ${witness} says that it has cosigned ${what} of the book ${book}, more than it has, and shows no checkpoint over them that the log has signed. The book goes on; look at its machine, or remove the witness.`;
  return { type: "witness.unproven", book, witness, message, notes: null };
}

function conflictOf({ machine, book, message, held, offered, isProven }: Claim): Trouble {
  const proven = isProven ? " Two signatures of the log's own key prove it." : "";
  return {
    type: "witness.conflict",
    book,
    witness: machine,
    message: `The witness ${machine} says of the book ${book}: ${message}${proven}`,
    notes: { held: held.note, offered: offered.note },
  };
}
