import type { ErrorCode } from "../../contracts/errors.ts";
import type { Receipt } from "../../contracts/events.ts";
import { sha256 } from "../../ledger/hash.ts";
import type { Book } from "../book/book.ts";
import { bookOwnEvent } from "../book/own-event.ts";
import { member } from "../intake/intake-position.ts";
import { jsonText } from "./json-text.ts";
import { isUuid, keys, readU64, u64 } from "../keys.ts";
import { receiptFor } from "../intake/receipts.ts";
import type { ServiceSelf } from "../book/service-event.ts";
import type { Tx } from "../store/store.ts";

/** Longest part of an explanation that goes into the record. */
const MESSAGE_MAXIMUM = 500;

export type QuarantineOptions = { book: Book; self: ServiceSelf; newId: () => string };

/**
 * Keeps what could not be trusted apart, and says so in the book with a record of the service's own. The same bytes
 * have one such record and get the same receipt each time.
 */
export function quarantine(
  o: QuarantineOptions,
  tx: Tx,
  arrival: { raw: unknown; from: string; recv: string; code: ErrorCode; message: string },
): Receipt {
  const bytes = bytesOf(arrival.raw);
  const digest = sha256(bytes);
  const id = idOf(arrival.raw) ?? digest.toString("hex");
  const key = keys.quarantine(digest);
  const known = tx.get(key);
  if (known !== undefined) return originalReceipt(o.book, tx, id, readU64(known));
  const added = { result: "quarantined" as const, code: arrival.code };
  const booked = bookOwnEvent(o, tx, arrival.recv, added, {
    type: "event.quarantined",
    obj: { kind: "event", key: digest.toString("hex") },
    payload: {
      from: arrival.from,
      // Another id than ours may be any text, and a book keeps it for ever.
      id: isUuid(id) ? id : digest.toString("hex"),
      code: arrival.code,
      message: arrival.message.toWellFormed().slice(0, MESSAGE_MAXIMUM).toWellFormed(),
      sha256: digest.toString("hex"),
      bytes: bytes.length,
    },
  });
  tx.put(key, Buffer.concat([u64(booked.seq), bytes]));
  return receiptFor(id, o.book.name, booked, added);
}

function originalReceipt(book: Book, tx: Tx, id: string, seq: number): Receipt {
  const record = book.open(seq, tx);
  const leaf = book.leafAt(seq, tx);
  if (record === undefined || leaf === undefined)
    throw new RangeError(`the quarantine names record ${seq}, and the book has none`);
  return receiptFor(id, book.name, { seq, leaf }, record.added);
}

/** The JSON of what arrived. It was parsed on the way here, so white space and repeated keys are gone. */
function bytesOf(raw: unknown): Buffer {
  return Buffer.from(jsonText(raw));
}

/** The id under which the sender knows it, where it can be made out. */
function idOf(raw: unknown): string | null {
  const id = member(member(raw, "event"), "id");
  return typeof id === "string" && id.length > 0 && id.length <= 64 && id.isWellFormed() ? id : null;
}

/** The same of the bytes that are kept. */
export function idOfBytes(bytes: Buffer): string | null {
  return idOf(JSON.parse(bytes.toString("utf8")));
}
