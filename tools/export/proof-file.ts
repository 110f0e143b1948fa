import { RastroError } from "../../lib/contracts/errors.ts";
import type { ResponseOf } from "../../lib/contracts/operations.ts";
import type { TreeHead } from "../../lib/ledger/checkpoint.ts";
import { leafHash } from "../../lib/ledger/hash.ts";
import { formatTlogProof, parseTlogProof, provesLeaf } from "../../lib/ledger/tlog-proof.ts";

/**
 * A proof as the file that is taken away (C2SP tlog-proof with the record's stored bytes as `extra`). It is checked
 * before it is given: a proof that does not hold helps nobody.
 *
 * @returns its text, what its checkpoint says, and the names in its signature lines, which are not checked here.
 * @throws RastroError `book_damaged` when it does not hold; LedgerError `bad-note` for a checkpoint that is none.
 */
export function proofFile(answer: ResponseOf<"audit", "book-prove">): {
  text: string;
  head: TreeHead;
  signers: string[];
} {
  const { record, checkpoint } = answer;
  const bytes = Buffer.from(record.bytes, "base64");
  const path = answer.path.map((hash) => Buffer.from(hash, "hex"));
  const text = formatTlogProof({ extra: bytes, index: record.seq, path, checkpoint });
  const proof = parseTlogProof(text);
  if (!provesLeaf(proof, leafHash(bytes))) {
    const message = `Proving record ${record.seq} failed: what the service answered does not lead to its checkpoint. Run a verification.`;
    throw new RastroError({ code: "book_damaged", message });
  }
  const { head, note } = proof.checkpoint;
  return { text, head, signers: [...new Set(note.signatures.map(({ name }) => name))] };
}
