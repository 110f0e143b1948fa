import type { WitnessInfo } from "../../../lib/contracts/witness-members.ts";
import { formatVerifierKey } from "../../../lib/ledger/signed-note.ts";
import type { Admissions } from "./admissions.ts";
import type { WitnessRow } from "./membership.ts";
import type { WitnessView } from "./view.ts";
import type { WitnessedLog } from "./witnessed-log.ts";
import type { Witnesses } from "./witnesses.ts";

/** The rows of `rastro witness list`. */
export function witnessInfo(
  { view, admissions, logs }: { view: WitnessView; admissions: Admissions; logs: readonly WitnessedLog[] },
  progress: Witnesses["progress"],
): WitnessInfo[] {
  const { members } = admissions.quorum();
  return view.rows().map((row): WitnessInfo => {
    const member = members.find(({ name }) => name === row.name);
    if (member === undefined) return outsider(row);
    const { name, standing, url, host, key } = member;
    const of = (log: WitnessedLog) => {
      const known = progress(member, log.book);
      const at = known.at();
      const newest = log.latest()?.head.size ?? 0;
      return {
        book: log.book,
        size: known.size(),
        at: at === null ? null : new Date(at).toISOString(),
        lag: Math.max(0, newest - (known.size() ?? 0)),
        error: known.error(),
      };
    };
    const isAsked = standing !== "revoked";
    return { name, standing, url, host, vkey: formatVerifierKey(key), logs: isAsked ? logs.map(of) : [] };
  });
}

function outsider({ name, offered, barred }: WitnessRow): WitnessInfo {
  const standing = barred ? "removed" : "candidate";
  return { name, standing, url: null, host: offered?.host ?? null, vkey: offered?.vkey ?? "", logs: [] };
}
