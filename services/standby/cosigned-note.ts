import type { KeyObject } from "node:crypto";
import type { Checkpoint } from "../../lib/ledger/checkpoint.ts";
import { cosign } from "../../lib/ledger/cosignature.ts";
import { formatNote } from "../../lib/ledger/signed-note.ts";

/** A checkpoint with the standby's own signature, which says that all of it is on the standby's disk. */
export type Cosigned = (checkpoint: Checkpoint) => string;

/**
 * Cosigns as a mirror (C2SP tlog-mirror: "has durably logged the contents of the checkpoint"). To be asked only for
 * what is proven. Each checkpoint is signed once.
 */
export function createCosigner(o: { name: string; privateKey: KeyObject; now: () => number }): Cosigned {
  let last: { checkpoint: Checkpoint; note: string } | null = null;
  return (checkpoint) => {
    if (last?.checkpoint !== checkpoint) {
      const { text, signatures } = checkpoint.note;
      const time = Math.floor(o.now() / 1000);
      const own = cosign(text, { name: o.name, privateKey: o.privateKey, time });
      last = { checkpoint, note: formatNote({ text, signatures: [...signatures, own] }) };
    }
    return last.note;
  };
}
