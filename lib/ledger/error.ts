/** What the ledger refuses. The meaning of a code never changes. */
export type LedgerErrorCode =
  /** A value has no canonical form, or bytes are not the canonical form of a record. */
  | "not-canonical"
  /** A record is longer than 65,535 bytes. */
  | "too-large"
  /** A hash is not 32 bytes, a size or number is out of its range, a node is not there. */
  | "bad-tree"
  /** A note, checkpoint, key or proof does not read as one. */
  | "bad-note"
  /** A trust policy does not read as one. */
  | "bad-policy"
  /** A line of an export, or the export as a whole, does not hold. */
  | "bad-export"
  /** The signature of an event does not fit it and the key that it names. */
  | "bad-signature";

/** The one error class of this folder; callers decide by `code`. */
export class LedgerError extends Error {
  readonly code: LedgerErrorCode;

  constructor(code: LedgerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "LedgerError";
    this.code = code;
  }
}
