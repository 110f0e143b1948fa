import type { KeyObject } from "node:crypto";
import type { Principal } from "../../contracts/directory.ts";
import { type ErrorCode, RastroError } from "../../contracts/errors.ts";
import { type Event, EVENT_OWNERS, SignedEvent } from "../../contracts/events.ts";
import type { BookName } from "../../contracts/names.ts";
import { parseValue } from "../../contracts/parse.ts";
import { canonicalText } from "../../ledger/canonical.ts";
import { LedgerError } from "../../ledger/error.ts";
import type { RecordSignature } from "../../ledger/record.ts";
import { fingerprint, importPublicKey, verifySignatureAside } from "../../ledger/signature.ts";
import { member } from "./intake-position.ts";
import { wordsFor } from "./refusal-words.ts";

/** An event that can be trusted, or why it cannot. */
export type Checked =
  | { ok: true; event: Event; text: string; sig: RecordSignature | null; unsigned: boolean }
  | { ok: false; code: ErrorCode; message: string };

/** The key of a sender, imported once: an import costs as much as half a verification. */
export type SenderKey = { key: KeyObject; fingerprint: string };

export type CheckContext = {
  book: BookName;
  /** Whose topic it came on. */
  from: Principal;
  key: SenderKey | null;
  epoch: string;
  /** Whether these very bytes and signature are in the book already: they were verified then, maybe by an older key. */
  isBooked: (id: string, text: string, signature: string) => boolean;
};

/** What can be said of an event without the state of the book, in the order in which it is said. */
export async function checkEvent(raw: unknown, context: CheckContext): Promise<Checked> {
  try {
    return await checkSteps(raw, context);
  } catch (thrown) {
    const from = context.from.name;
    if (thrown instanceof RastroError) return { ok: false, code: thrown.code, message: wordsFor(thrown, from) };
    if (thrown instanceof LedgerError) {
      return { ok: false, code: "schema", message: `Taking in an event of ${from} failed: it has no canonical form.` };
    }
    throw thrown;
  }
}

async function checkSteps(raw: unknown, context: CheckContext): Promise<Checked> {
  // Of what was sent, not of what the schema makes of it: these are the bytes that were signed. Before the schema,
  // since it bounds the depth to which the schema recurses.
  const text = canonicalText(member(raw, "event") ?? raw);
  const { event, sig } = parseValue(SignedEvent, raw, `an event of ${context.from.name}`);
  requireSource(event, context);
  requireOwner(event, context.book);
  const signature = await requireSignature(event, text, sig, context);
  return { ok: true, event, text, sig: signature, unsigned: signature === null };
}

function requireSource(event: Event, { from, epoch }: CheckContext): void {
  if (event.src.name !== from.name) throw refusal("not_spoken_for", event, "src.name", event.src.name, from.name);
  const outbox = event.src.outbox;
  if (outbox?.epoch !== epoch) throw refusal("schema", event, "src.outbox.epoch", String(outbox?.epoch ?? null), epoch);
}

function requireOwner(event: Event, book: BookName): void {
  const owner = EVENT_OWNERS[event.type];
  if (owner !== book) throw refusal("wrong_owner", event, "type", event.type, `a kind that the book ${book} owns`);
}

async function requireSignature(
  event: Event,
  text: string,
  sig: string | null,
  { from, key, isBooked }: CheckContext,
): Promise<RecordSignature | null> {
  if (sig === null && from.publicKey === null) return null;
  if (sig === null || key === null) {
    const expected = key === null ? "null, since no key is registered" : "a signature";
    throw refusal("bad_signature", event, "sig", String(sig), expected);
  }
  const signature = { by: from.name, key: key.fingerprint, value: sig };
  if (isBooked(event.id, text, sig) || (await verifySignatureAside(key.key, Buffer.from(text), sig))) return signature;
  throw refusal("bad_signature", event, "sig", sig, `a signature by key ${key.fingerprint}`);
}

function refusal(code: ErrorCode, event: Event, field: string, given: string, expected: string): RastroError {
  const message = `Taking in event ${event.id} failed: ${field} is ${given}; expected: ${expected}.`;
  return new RastroError({ code, message, field, given, expected });
}

/** Keeps the imported keys of senders; a name has one key at a time. */
export function keepSenderKeys(): (from: Principal) => SenderKey | null {
  const kept = new Map<string, { publicKey: string; imported: SenderKey | null }>();
  return ({ name, publicKey }) => {
    if (publicKey === null) return null;
    const known = kept.get(name);
    if (known?.publicKey === publicKey) return known.imported;
    const imported = importSenderKey(Buffer.from(publicKey, "base64"));
    kept.set(name, { publicKey, imported });
    return imported;
  };
}

function importSenderKey(raw: Buffer): SenderKey | null {
  const key = importPublicKey(raw);
  return key === null ? null : { key, fingerprint: fingerprint(raw) };
}
