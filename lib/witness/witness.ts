import type { KeyObject } from "node:crypto";
import { RastroError } from "../contracts/errors.ts";
import type { WitnessAlarm, WitnessAnswer } from "../contracts/witness.ts";
import { type Judgement, judgeAddCheckpoint, parseAddCheckpoint } from "../ledger/add-checkpoint.ts";
import { type Checkpoint, cosignersOf, parseCheckpoint, signedBy } from "../ledger/checkpoint.ts";
import { cosign } from "../ledger/cosignature.ts";
import { rawPublicKey } from "../ledger/signature.ts";
import { formatNote, formatSignature, SIGNATURE_TYPES, type VerifierKey, verifierKey } from "../ledger/signed-note.ts";
import type { Logger } from "../runtime/log.ts";
import { createTurns } from "./in-turn.ts";
import type { LogNotes } from "./log-notes.ts";
import type { TrustedLogs } from "./trusted-logs.ts";

/** A log that is alive publishes what it was given cosignatures for well within this time, ms. */
const PUBLISHED_WITHIN_MS = 60_000;

/** What a witness found out about a log, before it is an alarm. */
export type Finding = Pick<WitnessAlarm, "alarm" | "origin" | "message" | "cosigned" | "seen">;

/** What it cosigned last of a log. `at`: whole seconds since 1970. */
export type Cosigned = { checkpoint: Checkpoint; note: string; at: number };

export type WitnessOptions = {
  /** Of its key: without blanks and "+". */
  name: string;
  privateKey: KeyObject;
  logs: TrustedLogs;
  notes: LogNotes;
  /** Told of a log that has lied; awaited before the answer. Must not reject. */
  onFinding: (finding: Finding) => Promise<void> | void;
  /** Told what has been cosigned. */
  onCosigned?: (origin: string, cosigned: { size: number; at: number }) => void;
  /** This computer's own clock, ms: not that of the hub whose log is witnessed. */
  now: () => number;
  log: Logger;
};

export interface Witness {
  /** By which others know its cosignatures. */
  readonly key: VerifierKey;
  /**
   * Answers the call `add-checkpoint` of C2SP's tlog-witness. What it cosigns is on its disk, synced, before this
   * resolves; requests about one log are decided one after the other. Never rejects.
   */
  addCheckpoint(request: string): Promise<WitnessAnswer>;
  /**
   * Compares a checkpoint that was published with what it has cosigned. What no trusted key has signed is passed over.
   *
   * @param live - false for one that lay there from before, which may be older than what was cosigned since.
   */
  look(checkpoint: string, live: boolean): Promise<void>;
  /** Null when it has cosigned nothing of this log yet. @throws RastroError `store_unusable`. */
  cosigned(origin: string): Promise<Cosigned | null>;
}

/**
 * A witness: says of a log, by cosigning its checkpoints, that it has seen one history of it only. It goes forward
 * alone: from what it has cosigned to what is proven to contain it.
 */
export function createWitness(o: WitnessOptions): Witness {
  const key = verifierKey(o.name, SIGNATURE_TYPES.cosignature, rawPublicKey(o.privateKey));
  const turns = createTurns(64);
  /** The largest size of each log that was on the disk since the start. */
  const largest = new Map<string, number>();

  async function cosigned(origin: string): Promise<Cosigned | null> {
    const note = await o.notes.read(origin);
    const last = note === null ? null : readCosigned(origin, note, key);
    const size = last?.checkpoint.head.size ?? 0;
    // Somebody took the note away, or put an older one back, and this key would go on from there.
    if (size < (largest.get(origin) ?? 0)) throw goneBack(origin);
    largest.set(origin, size);
    return last;
  }

  async function decide(origin: string, request: string): Promise<WitnessAnswer> {
    const last = await cosigned(origin);
    const { checkpoint } = readRequest(request);
    const judgement = judgeAddCheckpoint(request, {
      logKeys: o.logs.keys(),
      witnessed: () => last?.checkpoint.head ?? null,
    });
    await reportLie(last, checkpoint, judgement);
    return judgement.status === 200 ? grant(judgement.checkpoint) : refusalOf(judgement, last);
  }

  /** Also of a request that has the wrong old size, and so gets a 409: two roots of one size need no proof. */
  async function reportLie(last: Cosigned | null, seen: Checkpoint, judgement: Judgement): Promise<void> {
    if (last !== null && isFork(last.checkpoint, seen)) await o.onFinding(forked(last, seen));
    else if (judgement.status === 422) await o.onFinding(inconsistent(last, seen, judgement.why));
  }

  async function grant(checkpoint: Checkpoint): Promise<WitnessAnswer> {
    const { text, signatures } = checkpoint.note;
    const time = Math.floor(o.now() / 1000);
    const cosignature = cosign(text, { name: o.name, privateKey: o.privateKey, time });
    // Lines of keys that are not known were not looked at: it does not pass them on.
    const known = signatures.filter((line) =>
      o.logs.keys().some(({ name, keyId }) => name === line.name && keyId === line.keyId),
    );
    const { origin, size } = checkpoint.head;
    await o.notes.write(origin, formatNote({ text, signatures: [...known, cosignature] }));
    largest.set(origin, size);
    o.onCosigned?.(origin, { size, at: time });
    return { status: 200, signatures: formatSignature(cosignature) };
  }

  async function compare(seen: Checkpoint, live: boolean): Promise<void> {
    const last = await cosigned(seen.head.origin);
    if (last === null) return;
    if (isFork(last.checkpoint, seen)) await o.onFinding(forked(last, seen));
    const isLate = o.now() - last.at * 1000 > PUBLISHED_WITHIN_MS;
    if (live && isLate && seen.head.size < last.checkpoint.head.size) await o.onFinding(rolledBack(last, seen));
  }

  return {
    key,
    cosigned,
    async addCheckpoint(request) {
      const passed = checkWithoutState(request, o.logs.keys());
      if (typeof passed !== "string") return passed;
      try {
        return await turns.take(passed, () => decide(passed, request));
      } catch (error) {
        return failed(error, passed, o.log);
      }
    },
    async look(text, live) {
      const seen = readCheckpoint(text);
      if (seen === null || signedBy(seen, o.logs.keys()).length === 0) return;
      const { origin } = seen.head;
      try {
        await turns.take(origin, () => compare(seen, live));
      } catch (error) {
        failed(error, origin, o.log);
      }
    },
  };
}

/**
 * All checks that need no look at what was cosigned. So requests that nobody has signed wait for nothing and keep
 * nobody waiting.
 *
 * @returns the log's origin, or the refusal.
 */
function checkWithoutState(request: string, logKeys: readonly VerifierKey[]): string | WitnessAnswer {
  const asked: string[] = [];
  const judgement = judgeAddCheckpoint(request, { logKeys, witnessed: (origin) => (asked.push(origin), null) });
  return asked[0] ?? refusalOf(judgement);
}

function refusalOf(judgement: Judgement, last: Cosigned | null = null): WitnessAnswer {
  switch (judgement.status) {
    case 200:
      // Only with an origin that was asked for, which is granted elsewhere.
      return { status: 500, why: "the request was not decided" };
    case 409:
      return { status: 409, size: judgement.size, note: last?.note ?? null };
    default:
      return { status: judgement.status, why: judgement.why };
  }
}

function failed(error: unknown, origin: string, log: Logger): WitnessAnswer {
  if (error instanceof RastroError && error.code === "busy") return { status: 503, why: "too many requests wait" };
  log.error({ err: error, origin }, "a checkpoint could not be looked at; nothing was cosigned");
  return { status: 500, why: "what was cosigned before cannot be read or written; the witness's log has the reason" };
}

/**
 * Takes apart what lies on disk. Anything but a note with this witness's own cosignature stops it from cosigning: to
 * take it for "nothing yet" would let it cosign a second history.
 */
function readCosigned(origin: string, note: string, key: VerifierKey): Cosigned {
  const checkpoint = readCheckpoint(note);
  const [own] = checkpoint === null ? [] : cosignersOf(checkpoint, [key]);
  if (checkpoint === null || own === undefined || checkpoint.head.origin !== origin) {
    throw new RastroError({
      code: "store_unusable",
      message: `Reading what was cosigned of "${origin}" failed: the note is damaged, or of another key; docs/witnesses.md says how to begin anew.`,
      given: origin,
      expected: `a checkpoint with the cosignature of ${key.name}`,
    });
  }
  return { checkpoint, note, at: own.time };
}

function goneBack(origin: string): RastroError {
  return new RastroError({
    code: "store_unusable",
    message: `Reading what was cosigned of "${origin}" failed: it is less than before, so somebody has changed it while the witness ran; docs/witnesses.md says how to begin anew.`,
    given: origin,
    expected: "what it has cosigned since its start",
  });
}

function readRequest(request: string): { checkpoint: Checkpoint } {
  return { checkpoint: parseCheckpoint(parseAddCheckpoint(request).checkpoint) };
}

function readCheckpoint(text: string): Checkpoint | null {
  try {
    return parseCheckpoint(text);
  } catch {
    return null;
  }
}

function isFork({ head: one }: Checkpoint, { head: other }: Checkpoint): boolean {
  return one.size === other.size && !one.root.equals(other.root);
}

function forked(last: Cosigned, seen: Checkpoint): Finding {
  const { origin, size } = seen.head;
  return finding("forked", last, seen, `The log "${origin}" has signed two roots for its first ${size} records.`);
}

function inconsistent(last: Cosigned | null, seen: Checkpoint, why: string): Finding {
  const { origin, size } = seen.head;
  return finding("inconsistent", last, seen, `The log "${origin}" asked to be cosigned at size ${size}, but ${why}.`);
}

function rolledBack(last: Cosigned, seen: Checkpoint): Finding {
  const { origin, size } = seen.head;
  const message = `The log "${origin}" publishes size ${size}, after size ${last.checkpoint.head.size} was cosigned.`;
  return finding("rolled-back", last, seen, message);
}

function finding(alarm: Finding["alarm"], last: Cosigned | null, seen: Checkpoint, message: string): Finding {
  return { alarm, origin: seen.head.origin, message, cosigned: last?.note ?? null, seen: formatNote(seen.note) };
}
