import type { Damage, VerifyReport } from "../../lib/contracts/book.ts";
import { list, table } from "../client/print.ts";

/** Damages that are shown; `--json` has all that the service names. */
const SHOWN = 100;
/** Characters of a hash that are shown. */
const HASH_SHOWN = 16;

/** What a verification found, for people: its figures, then each damage on a line. */
export async function verifyText(report: VerifyReport): Promise<string> {
  const facts = factsOf(report);
  if (report.ok) return `${facts}\n\n${wholeSentence(report)}`;
  const shown = report.damaged.slice(0, SHOWN);
  const rows = shown.map((damage) => [damage.seq, damage.kind, keyText(damage.key), ...sides(damage)]);
  const damages = await table(["seq", "kind", "key", "expected", "found"], rows, "");
  const more = report.damagedCount - shown.length;
  return [
    facts,
    `\nThe book ${report.book} is DAMAGED in ${report.damagedCount} ${report.damagedCount === 1 ? "place" : "places"}:\n`,
    damages,
    ...(more > 0 ? [`and ${more} more; --json has ${report.damaged.length}`] : []),
    "Everything else in it can be read. Keep a copy of the folder before anything else is done with it.",
  ].join("\n");
}

function factsOf({ book, from, size, root, signatures, tookMs }: VerifyReport): string {
  const { checked, unsigned, unknownKey } = signatures;
  return list([
    ["book", book],
    ["records", from === 0 ? size : `${size}, read from ${from} on`],
    ["root", root],
    ["signatures", `${checked} checked, ${unsigned} unsigned, ${unknownKey} of unknown keys`],
    ["took", `${tookMs} ms`],
  ]);
}

function wholeSentence({ book, from }: VerifyReport): string {
  if (from === 0) return `The book ${book} is whole.`;
  return `The book ${book} is whole from record ${from} on. What lies before was taken from the tree, unread.`;
}

function sides({ expected, found }: Damage): [string, string] {
  return [shortened(expected), shortened(found)];
}

function shortened(text: string): string {
  return /^[0-9a-f]{33,}$/.test(text) ? `${text.slice(0, HASH_SHOWN)}…` : text;
}

/** Keys are binary but for their first letter, which says what is under them (docs/ledger-format.md). */
function keyText(hex: string): string {
  const key = Buffer.from(hex, "hex").toString("latin1");
  return /^[\x20-\x7e]+$/.test(key) ? key : `${key.slice(0, 1)} ${hex.slice(2)}`;
}
