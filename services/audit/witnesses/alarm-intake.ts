import { parseJson } from "../../../lib/contracts/parse.ts";
import { filters, parseWitness } from "../../../lib/contracts/topics.ts";
import { WitnessAlarm } from "../../../lib/contracts/witness.ts";
import { type Checkpoint, parseCheckpoint, signedBy } from "../../../lib/ledger/checkpoint.ts";
import type { VerifierKey } from "../../../lib/ledger/signed-note.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { BookName } from "../../../lib/contracts/names.ts";

/** What a machine says that it has found out about a log of this plant. */
export type Claim = {
  machine: string;
  book: BookName;
  kind: WitnessAlarm["alarm"];
  message: string;
  /** Both as they came, and as far as a key of the log has signed them. */
  held: { note: string | null; checkpoint: Checkpoint | null };
  offered: { note: string; checkpoint: Checkpoint | null };
  /** Whether the two notes alone prove it: the log signed two roots for one size. */
  isProven: boolean;
};

/**
 * Takes in what witnesses publish of conflicts.
 *
 * @param o.onClaim - null for an alarm that its witness has taken back.
 * @throws RastroError `not_allowed` when the broker does not let this service have the alarms.
 */
export async function takeInAlarms(o: {
  link: Link;
  keysOf: (book: BookName) => readonly VerifierKey[];
  onClaim: (machine: string, book: BookName, claim: Claim | null) => void;
  log: Logger;
}): Promise<void> {
  await o.link.subscribe(filters.everyWitnessAlarm, (topic, payload) => {
    const about = parseWitness(topic);
    if (about?.kind !== "alarm") return;
    const { machine, book } = about;
    if (payload.length === 0) return o.onClaim(machine, book, null);
    try {
      const alarm = parseJson(WitnessAlarm, payload, `the alarm of the witness ${machine}`);
      o.onClaim(machine, book, claimOf(machine, book, alarm, o.keysOf(book)));
    } catch (error) {
      o.log.warn({ err: error, topic }, "an alarm of a witness does not read as one");
    }
  });
}

/** What an alarm amounts to, by the log's own keys. */
export function claimOf(machine: string, book: BookName, alarm: WitnessAlarm, logKeys: readonly VerifierKey[]): Claim {
  const held = { note: alarm.cosigned, checkpoint: alarm.cosigned === null ? null : signed(alarm.cosigned, logKeys) };
  const offered = { note: alarm.seen, checkpoint: signed(alarm.seen, logKeys) };
  return {
    machine,
    book,
    kind: alarm.alarm,
    message: alarm.message.replaceAll(/\p{Cc}/gu, " "),
    held,
    offered,
    isProven: contradict(held.checkpoint, offered.checkpoint),
  };
}

function signed(note: string, logKeys: readonly VerifierKey[]): Checkpoint | null {
  try {
    const checkpoint = parseCheckpoint(note);
    return signedBy(checkpoint, logKeys).length > 0 ? checkpoint : null;
  } catch {
    return null;
  }
}

function contradict(one: Checkpoint | null, other: Checkpoint | null): boolean {
  return one !== null && other !== null && one.head.size === other.head.size && !one.head.root.equals(other.head.root);
}
