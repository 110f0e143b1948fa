import type { Principal } from "../../contracts/directory.ts";
import { type ErrorCode, RastroError } from "../../contracts/errors.ts";
import type { Event, EventBatch, Receipt, ReceiptBatch } from "../../contracts/events.ts";
import { canonicalText } from "../../ledger/canonical.ts";
import { LedgerError } from "../../ledger/error.ts";
import type { RecordAdded } from "../../ledger/record.ts";
import type { Book } from "../book/book.ts";
import { type Checked, checkEvent, keepSenderKeys } from "./intake-check.ts";
import { fillGap, noteGap } from "./gaps.ts";
import { advance, duePositions, positionsOf, type Standing, standingOf } from "./intake-position.ts";
import { bookOwnEvent } from "../book/own-event.ts";
import { quarantine } from "../quarantine/quarantine.ts";
import { receiptFor } from "./receipts.ts";
import type { ServiceSelf } from "../book/service-event.ts";
import type { Store, Tx } from "../store/store.ts";

/** Events that are checked at a time; while they are, those before them are written. */
const CHECKED_TOGETHER = 32;

export type Booked = { seq: number; leaf: string };

/** What the service that owns the book says of an event. */
export type Decision = {
  added: RecordAdded;
  /** The service's own writes for this record: views, outbox. */
  write?: (tx: Tx, booked: Booked) => void;
};

export type IntakeOptions = {
  store: Store;
  book: Book;
  principalOf: (name: string) => Principal | undefined;
  /** Everybody who is registered; left out where nobody is asked who was not heard of before. */
  senders?: () => readonly Principal[];
  self: ServiceSelf;
  newId: () => string;
  /** Reads, and writes nothing: that is for `write`. A refusal is returned, not thrown. */
  decide: (tx: Tx, event: Event, context: { from: Principal; recv: string; unsigned: boolean }) => Decision;
};

type DueOutbox = { kind: "machine" | "service"; name: string; epoch: string; next: number };

/** No outbox has it: those are random. */
const UNKNOWN_EPOCH = "0".repeat(16);

export type Intake = {
  /**
   * Books the events of a batch, in order, and resolves with their receipts once all of it is on disk. Each event is
   * booked once, however often it arrives. Batches of one sender are given one after the other.
   *
   * @throws RastroError `unknown_name` or `not_allowed` for a sender whose name is not (or no longer) good: nothing
   *   is booked and the sender keeps its events. `store_unusable`, `book_damaged` and faults of `decide` when not
   *   even the first event could be booked; when later ones could not, the earlier ones get their receipts.
   */
  receive(from: string, batch: EventBatch): Promise<ReceiptBatch>;
  /**
   * Every outbox of a good name that something came from, with the dseq that is due next; of the other senders all, under
   * an epoch that is none: a book that was restored may not have heard of them yet.
   */
  due(): Promise<DueOutbox[]>;
};

/** What both books do with what arrives from outboxes. */
export function createIntake(o: IntakeOptions): Intake {
  const keyOf = keepSenderKeys();
  return {
    async receive(from, batch) {
      const arrival: Arrival = { o, batch, from: requireSender(o, from), recv: instant(o), resendFrom: null };
      const key = keyOf(arrival.from);
      const isBooked = (id: string, text: string, signature: string) => isInBook(o.book, id, text, signature);
      const context = { book: o.book.name, from: arrival.from, key, epoch: batch.epoch, isBooked };
      const positions = positionsOf(batch);
      const taken: Promise<Taken>[] = [];
      for (let first = 0; first < batch.events.length; first += CHECKED_TOGETHER) {
        const slice = batch.events.slice(first, first + CHECKED_TOGETHER);
        const checks = await Promise.all(slice.map((raw) => checkEvent(raw, context)));
        for (const [index, checked] of checks.entries()) {
          const stage = (tx: Tx) => takeIn(tx, arrival, slice[index], checked, positions[first + index] ?? null);
          taken.push(o.store.write(stage).then(toTaken, toFailure));
        }
      }
      return answer(arrival, await Promise.all(taken));
    },
    async due() {
      const found: DueOutbox[] = [];
      for await (const position of duePositions(o.store)) {
        const { kind, active } = o.principalOf(position.name) ?? { kind: "person", active: false };
        if (active && kind !== "person") found.push({ kind, ...position });
      }
      return [...found, ...unheard(o, new Set(found.map(({ name }) => name)))];
    },
  };
}

/** Every sender that nothing came from: whether it has sent anything since a backup the book cannot know. */
function unheard({ senders }: IntakeOptions, heard: ReadonlySet<string>): DueOutbox[] {
  return (senders?.() ?? []).flatMap(({ name, kind, active, credential }) =>
    kind === "person" || !active || credential === "none" || heard.has(name)
      ? []
      : [{ kind, name, epoch: UNKNOWN_EPOCH, next: 1 }],
  );
}

const BOOKED = { result: "booked", code: null } as const;

/** A batch on its way in. `resendFrom` is set by the first event that comes too early; those behind it are left. */
type Arrival = { o: IntakeOptions; batch: EventBatch; from: Principal; recv: string; resendFrom: number | null };
type Taken = { receipt: Receipt | null; failure: Error | null };

function takeIn(tx: Tx, arrival: Arrival, raw: unknown, checked: Checked, dseq: number | null): Receipt | null {
  if (arrival.resendFrom !== null) return null;
  const { o, batch, from } = arrival;
  const verdict = checked.ok ? compareWithBook(tx, o.book, checked) : checked;
  const standing = standingOf(tx, from.name, batch, dseq);
  if (standing.kind === "beyond") {
    if ("receipt" in verdict) return verdict.receipt;
    arrival.resendFrom = standing.last + 1;
    return null;
  }
  if (standing.kind === "gap") bookGap(tx, arrival, standing);
  // A duplicate takes up its place too: an outbox that was restored tells what is booked again under a new epoch.
  const receipt = "receipt" in verdict ? verdict.receipt : bookOrSetApart(tx, arrival, raw, verdict, standing);
  if (dseq !== null && (standing.kind === "next" || standing.kind === "gap")) advance(tx, from.name, batch.epoch, dseq);
  return receipt;
}

function isSameEvent(booked: Event, event: Event, text: string): boolean {
  return canonicalText(booked) === text || withoutPlace(booked) === withoutPlace(event);
}

function withoutPlace(event: Event): string {
  return canonicalText({ ...event, src: { ...event.src, outbox: null } });
}

function bookOrSetApart(tx: Tx, arrival: Arrival, raw: unknown, verdict: Checked, standing: Standing): Receipt {
  return verdict.ok
    ? bookInTurn(tx, arrival, raw, verdict, standing)
    : setApart(tx, arrival, raw, verdict.code, verdict.message);
}

type Trusted = Extract<Checked, { ok: true }>;

/**
 * An id that is in the book already: the same event gets its receipt again, another one is a conflict. Its place in an
 * outbox is left out of the comparison: see {@link renewOutboxes}.
 */
function compareWithBook(tx: Tx, book: Book, checked: Trusted): Checked | { receipt: Receipt } {
  const { event, text } = checked;
  const seq = book.find(event.id, tx);
  if (seq === undefined) return checked;
  const record = book.open(seq, tx);
  const leaf = book.leafAt(seq, tx);
  if (record !== undefined && leaf !== undefined && isSameEvent(record.event as Event, event, text)) {
    return { receipt: receiptFor(event.id, book.name, { seq, leaf }, record.added) };
  }
  return {
    ok: false,
    code: "id_conflict",
    message: `Taking in event ${event.id} failed: record ${seq} has other bytes under this id.`,
  };
}

function bookInTurn(tx: Tx, arrival: Arrival, raw: unknown, checked: Trusted, standing: Standing): Receipt {
  const { o, from, recv } = arrival;
  const { event, text, sig, unsigned } = checked;
  if (standing.kind === "past") {
    const message = `Taking in event ${event.id} failed: another event had its dseq; expected: ${standing.last + 1} or more.`;
    return setApart(tx, arrival, raw, "sequence_reused", message);
  }
  const decision = o.decide(tx, event, { from, recv, unsigned });
  const via = { kind: "outbox" as const, name: from.name, session: null };
  const record = { recv, event, sig, via, added: decision.added };
  const booked = appendUnlessTooLarge(() => o.book.append(tx, record, event.id, text));
  if (booked instanceof LedgerError) return setApart(tx, arrival, raw, "schema", booked.message);
  decision.write?.(tx, booked);
  if (standing.kind === "missing") bookFilling(tx, arrival, event);
  return receiptFor(event.id, o.book.name, booked, decision.added);
}

/** Too large a record would be too large each time: it is set apart, so that those behind it are not held up. */
function appendUnlessTooLarge(append: () => Booked): Booked | LedgerError {
  try {
    return append();
  } catch (thrown) {
    if (thrown instanceof LedgerError && thrown.code === "too-large") return thrown;
    throw thrown;
  }
}

function setApart(tx: Tx, { o, from, recv }: Arrival, raw: unknown, code: ErrorCode, message: string): Receipt {
  return quarantine(o, tx, { raw, from: from.name, recv, code, message });
}

function bookGap(tx: Tx, { o, batch, from, recv }: Arrival, standing: Standing): void {
  const gap = { first: standing.last + 1, last: batch.floor - 1 };
  const { seq } = bookOwnEvent(o, tx, recv, BOOKED, {
    type: "gap.found",
    obj: { kind: "outbox", key: `${from.name}/${batch.epoch}` },
    payload: { from: from.name, epoch: batch.epoch, ...gap },
  });
  noteGap(tx, from.name, batch.epoch, { ...gap, seq });
}

/** What was lost has arrived after all; with the last of it the gap is closed. */
function bookFilling(tx: Tx, { o, batch, from, recv }: Arrival, event: Event): void {
  const closed = fillGap(tx, from.name, batch.epoch, event.src.outbox?.dseq as number);
  if (closed === null) return;
  const { first, last, seq } = closed;
  bookOwnEvent(o, tx, recv, BOOKED, {
    type: "gap.closed",
    obj: { kind: "outbox", key: `${from.name}/${batch.epoch}` },
    payload: { from: from.name, epoch: batch.epoch, first, last, found: seq },
  });
}

/** Receipts for what was booked. A resend is asked for only if nothing failed here, or it would be asked for at once again. */
function answer({ batch, resendFrom }: Arrival, taken: Taken[]): ReceiptBatch {
  const failure = taken.find((one) => one.failure !== null)?.failure ?? null;
  const receipts = taken.flatMap((one) => (one.receipt === null ? [] : [one.receipt]));
  if (failure !== null && receipts.length === 0) throw failure;
  const resend = resendFrom !== null && failure === null ? { resend: { from: resendFrom } } : {};
  return { v: 1, epoch: batch.epoch, receipts, ...resend };
}

function toTaken(receipt: Receipt | null): Taken {
  return { receipt, failure: null };
}

function toFailure(thrown: unknown): Taken {
  return { receipt: null, failure: thrown instanceof Error ? thrown : new Error(String(thrown)) };
}

function isInBook(book: Book, id: string, text: string, signature: string): boolean {
  const seq = book.find(id);
  if (seq === undefined) return false;
  try {
    const record = book.open(seq);
    return record?.sig?.value === signature && canonicalText(record?.event) === text;
  } catch {
    // A damaged record cannot vouch for anything; the stage meets it again and says so.
    return false;
  }
}

function requireSender({ principalOf }: IntakeOptions, name: string): Principal {
  const principal = principalOf(name);
  if (principal === undefined) {
    throw new RastroError({
      code: "unknown_name",
      message: `Taking in events failed: no machine or service ${name} is registered.`,
    });
  }
  if (!principal.active || principal.kind === "person") {
    throw new RastroError({
      code: "not_allowed",
      message: `Taking in events of ${name} failed: expected an active machine or service.`,
    });
  }
  return principal;
}

function instant({ self }: IntakeOptions): string {
  return new Date(self.now()).toISOString();
}
