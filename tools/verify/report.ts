import type { SignatureCounts } from "../../lib/ledger/origin-signatures.ts";

/** Who stands behind a checkpoint. `quorum` is the name of what had to cosign, null where nothing had to. */
export type CheckpointReport = {
  origin: string;
  size: number;
  /** In hexadecimal. */
  root: string;
  signedBy: { name: string; keyId: string }[];
  /** `name` as in the policy, `key` as in the note, `time` an instant. */
  cosignedBy: { name: string; key: string; time: string }[];
  quorum: string | null;
};

/** What is said of a record that a proof carries. */
export type RecordReport = {
  seq: number;
  leaf: string;
  recv: string;
  id: unknown;
  type: unknown;
  at: unknown;
  actor: unknown;
};

export type ExportReport = {
  book: string;
  records: number;
  omitted: number;
  unreadable: number;
  filter: { readonly [name: string]: unknown };
  madeAt: string;
};

/** What a verification came to. `steps` held, in this order; `refusal` is the one reason that ended it. */
export type Report = {
  ok: boolean;
  kind: "proof" | "export" | null;
  steps: string[];
  refusal: string | null;
  /** Null where it was not asked for, or did not come to it. */
  checkpoint: CheckpointReport | null;
  events: SignatureCounts | null;
  record?: RecordReport;
  export?: ExportReport;
};

/** A report as it is made: steps that hold are noted, and what is thrown ends it. */
export class Steps {
  readonly report: Report;

  constructor(kind: Report["kind"]) {
    this.report = { ok: false, kind, steps: [], refusal: null, checkpoint: null, events: null };
  }

  holds(what: string): void {
    this.report.steps.push(what);
  }

  /** Throws the one reason unless it holds. */
  demand(what: string, holds: boolean, otherwise: string): void {
    if (!holds) throw new Error(otherwise);
    this.holds(what);
  }

  accept(): Report {
    this.report.ok = true;
    return this.report;
  }

  refuse(reason: unknown): Report {
    this.report.refusal = reason instanceof Error ? reason.message : String(reason);
    return this.report;
  }
}
