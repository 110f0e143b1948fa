import { hash } from "node:crypto";
import { sealRecord } from "../../../lib/ledger/record.ts";
import { canonicalText } from "../../../lib/ledger/canonical.ts";
import type { AppendInput } from "../../../lib/storage/book/book.ts";

/** What an append is given: a record's content, its event's id and the event's canonical text. */
export type Prepared = { input: AppendInput; id: string; text: string };

const AT = "2026-11-24T05:44:05.123Z";
const ANY_ID = "01a20c56-e139-701a-bdf9-58dfd4de16c8";

const ANY_LOT = "L-223311";

const EVENT = {
  v: 1,
  id: ANY_ID,
  type: "entry.created",
  at: AT,
  tz: "America/Sao_Paulo",
  actor: { sub: "p-5f2c81d04e9b", auth: "session" },
  src: { name: "production", app: "production@0.1.0", outbox: null },
  obj: { kind: "entry", key: ANY_ID },
  payload: {
    fields: { machine: "ipc-07", lot: ANY_LOT, good: 480, rework: 0, scrap: [{ defect: "dent", pieces: 3 }] },
  },
};
const EVENT_TEXT = canonicalText(EVENT);

const INPUT: AppendInput = {
  recv: AT,
  event: EVENT,
  // Each record has a value of its own, as long as an Ed25519 signature in base64; it is checked nowhere here.
  sig: null,
  via: { kind: "request", name: null, session: "s-2fcb0f35b077bbae" },
  added: { result: "booked", code: null, role: "operator", rev: 1, before: null, after: null, flags: [] },
};

/**
 * The n-th record as production books an entry, about 900 bytes. What comes before the append (parsing, judging,
 * signing) is done, and the event's text is there, as every service has it; the event itself is looked at by nobody.
 */
export function preparedRecord(n: number): Prepared {
  const id = idOf(n);
  const digest = hash("sha512", String(n), "base64");
  const named = EVENT_TEXT.replaceAll(ANY_ID, id).replace(ANY_LOT, `L-${digest.slice(0, 6)}`);
  // Flat, as text is that was signed: put together piece by piece it would be copied where it is measured.
  const text = Buffer.from(named).toString();
  return { input: { ...INPUT, sig: { by: "production", key: "0f3a9c24b1d8e657", value: digest } }, id, text };
}

/** The stored bytes of a record as {@link preparedRecord} gives it, for whoever has no book. */
export function preparedBytes(n: number): Buffer {
  const { input, text } = preparedRecord(n);
  return sealRecord({ ...input, seq: n, prev: hash("sha256", String(n)) }, text).bytes;
}

/** The n-th id: a UUID of version 7, in the order of their making as such ids are. */
export function idOf(n: number): string {
  return `01a20c56-e139-7a1c-9d04-${n.toString(16).padStart(12, "0")}`;
}
