import { formatAddCheckpoint } from "../../../lib/ledger/add-checkpoint.ts";
import { signCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { EMPTY_ROOT } from "../../../lib/ledger/hash.ts";
import type { After } from "../../../lib/messaging/timing.ts";
import type { LogKeys } from "../../../lib/runtime/log-keys.ts";
import type { Carry } from "./exchange.ts";
import type { Progress } from "./progress.ts";
import type { Member } from "./standing.ts";
import { type Behind, provenSize } from "./witnessed-log.ts";

/** Longer than a witness in reach takes, ms; the others are compared with as they come. */
const BOUND_MS = 2000;

/**
 * Asks witnesses how much of the audit book they have cosigned, before anything is signed by it. They are shown the
 * checkpoint of the empty log, which contradicts no history, with an old size of 0: whoever has cosigned more answers
 * 409 and the size (C2SP tlog-witness). Resolves after 2 seconds at the latest.
 *
 * @returns who has seen more than there is, and shows a checkpoint of the log that proves it. One that only says so is
 *   left to be asked like the others.
 */
export async function compareWithWitnesses(o: {
  size: number;
  logKeys: Pick<LogKeys, "origin" | "privateKeys" | "known">;
  witnesses: readonly { member: Member; carry: Carry; progress: Progress }[];
  after: After;
}): Promise<Behind[]> {
  const { origin, privateKeys, known } = o.logKeys;
  const checkpoint = signCheckpoint({ origin, size: 0, root: EMPTY_ROOT }, privateKeys());
  const request = formatAddCheckpoint({ old: 0, proof: [], checkpoint });
  const behind: Behind[] = [];
  const ask = async ({ member, carry, progress }: (typeof o.witnesses)[number]) => {
    const said = await seenBy(() => carry(request, origin));
    if (said === null) return;
    const size = Math.max(provenSize(said.note, known()), Math.min(said.size, o.size));
    progress.learned(size);
    if (size > o.size) behind.push({ book: "audit", size, by: member.name });
  };
  let cancel = () => {};
  const bound = new Promise<void>((resolve) => (cancel = o.after(BOUND_MS, resolve)));
  await Promise.race([Promise.all(o.witnesses.map(ask)), bound]);
  cancel();
  return behind;
}

/** Null for one that is away, or has cosigned nothing of this log. */
async function seenBy(ask: () => ReturnType<Carry>): Promise<{ size: number; note: string | null } | null> {
  try {
    const answer = await ask();
    return answer?.status === 409 && answer.size > 0 ? answer : null;
  } catch {
    return null;
  }
}
