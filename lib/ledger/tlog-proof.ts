import { type Checkpoint, parseCheckpoint } from "./checkpoint.ts";
import { LedgerError } from "./error.ts";
import { HASH_LENGTH } from "./hash.ts";
import { verifyInclusion } from "./proof.ts";

/*
 * Proofs to take away (C2SP tlog-proof): that a leaf is in a log, with the checkpoint that says so.
 */

const FIRST_LINE = "c2sp.org/tlog-proof@v1";

/** As many hashes as a tree of 2^63 leaves needs. */
const PATH_MAXIMUM = 63;

/** `extra` is not covered by the proof: whoever uses it has to compare it with the leaf. */
export type TlogProof = { extra: Buffer | null; index: number; path: readonly Buffer[]; checkpoint: string };

/** A proof as text, to be kept in a file whose name ends with `.tlog-proof`. */
export function formatTlogProof({ extra, index, path, checkpoint }: TlogProof): string {
  const lines = [
    FIRST_LINE,
    ...(extra === null ? [] : [`extra ${extra.toString("base64")}`]),
    `index ${index}`,
    ...path.map((hash) => hash.toString("base64")),
  ];
  return `${lines.join("\n")}\n\n${checkpoint}`;
}

/**
 * Reads what {@link formatTlogProof} wrote. Says nothing of whether it holds.
 *
 * @throws LedgerError `bad-note` for what is none.
 */
export function parseTlogProof(text: string): Omit<TlogProof, "checkpoint"> & { checkpoint: Checkpoint; note: string } {
  const end = text.indexOf("\n\n");
  const lines = end === -1 ? [] : text.slice(0, end).split("\n");
  if (lines.shift() !== FIRST_LINE) throw badProof(`it does not begin with ${FIRST_LINE}`);
  const extra = lines[0]?.startsWith("extra ") === true ? decode(lines.shift()?.slice("extra ".length) ?? "") : null;
  const index = Number(/^index (0|[1-9]\d{0,15})$/.exec(lines.shift() ?? "")?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(index)) throw badProof("expected a line with the index of the leaf");
  const path = lines.map(decode);
  if (path.length > PATH_MAXIMUM || path.some((hash) => hash.length !== HASH_LENGTH)) throw badProof("a hash is none");
  const note = text.slice(end + 2);
  return { extra, index, path, checkpoint: parseCheckpoint(note), note };
}

/** Whether a proof leads from a leaf to its checkpoint's root (RFC 9162 §2.1.3.2). */
export function provesLeaf(
  proof: { index: number; path: readonly Buffer[]; checkpoint: Checkpoint },
  leaf: Uint8Array,
): boolean {
  const { size, root } = proof.checkpoint.head;
  return verifyInclusion({ seq: proof.index, size, leaf, path: proof.path, root });
}

function decode(line: string): Buffer {
  const bytes = Buffer.from(line, "base64");
  if (bytes.toString("base64") !== line) throw badProof("a line is no base64");
  return bytes;
}

function badProof(why: string): LedgerError {
  return new LedgerError("bad-note", `Reading a proof failed: ${why}.`);
}
