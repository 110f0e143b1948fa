import type { Event, EventDraft, Receipt } from "../../contracts/events.ts";
import { RastroError } from "../../contracts/errors.ts";
import type { BookName } from "../../contracts/names.ts";
import { canonicalText } from "../../ledger/canonical.ts";
import { decodeStaged, encodeStaged, type StagedEvent } from "./outbox-event.ts";
import { isUuid, keys, readU64, u64 } from "../keys.ts";
import { decodeState, encodeState, newOutboxState, OUTBOX_STATE, type OutboxState } from "./outbox-state.ts";
import { type Cell, cellAt, type Store, type Tx } from "../store/store.ts";

/** How long a settled event is kept at least, ms: a hub that was restored from a backup asks for it again. */
export const SEALED_KEPT_MS: number = 30 * 24 * 60 * 60 * 1000;

/** Events that one batch of a pruning removes. */
const PRUNE_BATCH = 500;

export type OutboxOptions = {
  store: Store;
  book: BookName;
  /** The registered name of this machine or service: `src.name`. */
  name: string;
  /** Software and version: `src.app`. */
  app: string;
  /** The same bytes give the same signature, as Ed25519 does. Null for a device that cannot sign. */
  sign: ((bytes: Uint8Array) => string | Promise<string>) | null;
  random: (length: number) => Buffer;
  now: () => number;
};

/** `text`: the JSON of a `SignedEvent` with the event in its canonical form. */
export type OutboxEntry = { dseq: number; id: string; text: string };

/** What is kept with a settled event. `at` is when the receipt came, ms. */
type Settled = { at: number; receipt: Receipt };

/**
 * Events on their way to one book. An event is staged in the same batch as the change that it tells of, numbered
 * without a gap, waits until its receipt comes and is kept sealed with it for at least 30 days after. It is signed when
 * it is read for sending: see docs/decisions/0013-signed-when-sent.md.
 *
 * All state lies under keys: a process that is killed loses nothing that a `write` had resolved, and keeps nothing
 * of what had not been written.
 */
export class Outbox {
  readonly book: BookName;
  readonly epoch: string;
  /** Who sends from it. */
  get name(): string {
    return this.#o.name;
  }
  readonly #o: OutboxOptions;
  readonly #listeners: (() => void)[] = [];
  readonly #cell: Cell<OutboxState | null>;
  #oldest: { dseq: number; at: string } | null = null;

  private constructor(options: OutboxOptions, epoch: string) {
    this.#o = options;
    this.book = options.book;
    this.epoch = epoch;
    this.#cell = cellAt(keys.outbox.state(options.book), OUTBOX_STATE);
  }

  /** Opens the outbox of a store, and makes it with a new epoch if there is none. */
  static async open(options: OutboxOptions): Promise<Outbox> {
    const { store, book, random } = options;
    const state = await store.write((tx) => {
      const stored = tx.get(keys.outbox.state(book));
      if (stored !== undefined) return decodeState(stored);
      const made = newOutboxState(random(8).toString("hex"));
      tx.put(keys.outbox.state(book), encodeState(made));
      return made;
    });
    return new Outbox(options, state.epoch);
  }

  /**
   * Gives an event its place and puts it into the caller's stage.
   *
   * @throws LedgerError `not-canonical`; RastroError `id_conflict` when the outbox holds an event of this id.
   */
  stage(tx: Tx, draft: EventDraft): Event {
    const { book, epoch } = this;
    const state = this.#state(tx);
    const dseq = state.next;
    const event = this.#complete(draft, dseq);
    const idKey = keys.outbox.id(book, event.id);
    if (tx.get(idKey) !== undefined) throw idTaken(event.id, epoch);
    const bytes = encodeStaged(event.id, canonicalText(event));
    tx.put(keys.outbox.event(book, dseq), bytes);
    tx.put(idKey, u64(dseq));
    this.#put(tx, { ...state, next: dseq + 1, waiting: state.waiting + 1, bytes: state.bytes + bytes.length });
    tx.onCommit(() => this.#notify());
    return event;
  }

  /** The lowest dseq that {@link Outbox.read} can still give; the next one to be staged when nothing is kept. */
  floor(): number {
    return this.#state().floor;
  }

  /** The dseq of the newest event, if it is kept and none waits; else null. */
  newestSettled(): number | null {
    const { waiting, next, floor } = this.#state();
    return waiting === 0 && next > floor ? next - 1 : null;
  }

  /**
   * Events in order and without a gap, waiting and sealed alike from `from` on; from the first that waits with null.
   * At least one event is given if there is any, however large.
   *
   * Where the store has lost or altered an event, reading stops before it until those before it have their receipts;
   * then the floor rises past it, which tells the receiver of the loss.
   */
  async read(o: { from: number | null; maxEvents: number; maxBytes: number }): Promise<OutboxEntry[]> {
    await this.#passLost(o.from);
    const { low, floor, next } = this.#state();
    const dseqs: number[] = [];
    for (let dseq = Math.max(o.from ?? low, floor); dseq < next && dseqs.length < o.maxEvents; dseq += 1) {
      if (o.from !== null || this.#settledAt(dseq) === null) dseqs.push(dseq);
    }
    const stored = await this.#o.store.getMany(dseqs.map((dseq) => keys.outbox.event(this.book, dseq)));
    const whole: (StagedEvent & { dseq: number })[] = [];
    let bytes = 0;
    for (const [index, dseq] of dseqs.entries()) {
      const staged = decodeStaged(stored[index]);
      if (staged === null) break;
      bytes += stored[index]?.length ?? 0;
      if (whole.length > 0 && bytes > o.maxBytes) break;
      whole.push({ dseq, ...staged });
    }
    return Promise.all(whole.map((staged) => this.#signed(staged)));
  }

  /** Frees what the receipts are for; others are ignored, and the newest receipt of an event is kept. On disk when it resolves. */
  async settle(receipts: readonly Receipt[]): Promise<void> {
    if (receipts.length === 0) return;
    await this.#o.store.writePatiently((tx) => {
      const state = { ...this.#state(tx) };
      for (const receipt of receipts) this.#settleOne(tx, state, receipt);
      while (state.low < state.next && tx.get(keys.outbox.receipt(this.book, state.low)) !== undefined) state.low += 1;
      this.#put(tx, state);
    });
  }

  /** The receipt of an event, `waiting` before it came, undefined for an id that is not (or no longer) kept. */
  async receiptOf(id: string): Promise<Receipt | "waiting" | undefined> {
    if (!isUuid(id)) return undefined;
    const dseq = await this.#o.store.get(keys.outbox.id(this.book, id));
    if (dseq === undefined) return undefined;
    return this.#settledAt(readU64(dseq))?.receipt ?? "waiting";
  }

  /** How much is kept. `oldest` is the time of the first event that waits; `bytes` counts waiting and sealed. */
  depth(): { waiting: number; sealed: number; oldest: string | null; bytes: number } {
    const { waiting, sealed, bytes, low } = this.#state();
    return { waiting, sealed, oldest: waiting === 0 ? null : this.#timeOf(low), bytes };
  }

  /** Calls the listener after each batch that holds a new event. */
  onStaged(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Removes settled events from the oldest on, up to the first that waits or was settled too recently.
   *
   * @param olderThanMs - how long ago the receipt has to have come; 30 days or more.
   * @param covered - only events whose records are below this number in the book: the others lie on no second disk yet.
   *   All of them when left out.
   * @returns how many were removed.
   * @throws RangeError for less than 30 days.
   */
  async prune(olderThanMs: number = SEALED_KEPT_MS, covered: number = Number.POSITIVE_INFINITY): Promise<number> {
    if (!(olderThanMs >= SEALED_KEPT_MS)) {
      throw new RangeError(
        `Pruning an outbox failed: ${olderThanMs} ms was given, expected ${SEALED_KEPT_MS} or more.`,
      );
    }
    const before = this.#o.now() - olderThanMs;
    for (let total = 0; ;) {
      const removed = await this.#o.store.write((tx) => this.#pruneSome(tx, before, covered));
      total += removed;
      if (removed < PRUNE_BATCH) return total;
    }
  }

  /** Raises the floor past events that the store has lost, if they are the next to be read and none before them waits. */
  async #passLost(from: number | null): Promise<void> {
    const { low, floor, next } = this.#state();
    const first = Math.max(from ?? low, floor);
    if (first > low || first >= next || !this.#isLost(first)) return;
    await this.#o.store.write((tx) => {
      const state = { ...this.#state(tx) };
      let dseq = first;
      for (; dseq < state.next && decodeStaged(tx.get(keys.outbox.event(this.book, dseq))) === null; dseq += 1) {
        if (tx.get(keys.outbox.receipt(this.book, dseq)) === undefined) state.waiting -= 1;
      }
      this.#put(tx, { ...state, floor: dseq, low: Math.max(dseq, state.low) });
    });
  }

  #isLost(dseq: number): boolean {
    return decodeStaged(this.#o.store.getNow(keys.outbox.event(this.book, dseq))) === null;
  }

  async #signed({ dseq, id, text }: StagedEvent & { dseq: number }): Promise<OutboxEntry> {
    const sig = this.#o.sign === null ? null : await this.#o.sign(text);
    return { dseq, id, text: `{"event":${text.toString()},"sig":${JSON.stringify(sig)}}` };
  }

  #complete(draft: EventDraft, dseq: number): Event {
    const { name, app } = this.#o;
    return { v: 1, ...draft, src: { name, app, outbox: { epoch: this.epoch, dseq } } };
  }

  #settleOne(tx: Tx, state: OutboxState, receipt: Receipt): void {
    if (!isUuid(receipt.id)) return;
    const dseq = tx.get(keys.outbox.id(this.book, receipt.id));
    if (dseq === undefined) return;
    const key = keys.outbox.receipt(this.book, readU64(dseq));
    if (tx.get(key) === undefined) {
      state.waiting -= 1;
      state.sealed += 1;
    }
    const settled: Settled = { at: this.#o.now(), receipt };
    tx.put(key, Buffer.from(JSON.stringify(settled)));
  }

  #pruneSome(tx: Tx, before: number, covered: number): number {
    const { book } = this;
    const state = { ...this.#state(tx) };
    let removed = 0;
    for (; removed < PRUNE_BATCH && state.kept < state.low; state.kept += 1) {
      const settled = decodeSettled(tx.get(keys.outbox.receipt(book, state.kept)));
      if (settled !== null && (settled.at > before || settled.receipt.seq >= covered)) break;
      this.#removeOne(tx, state, settled);
      removed += 1;
    }
    this.#put(tx, { ...state, floor: Math.max(state.floor, state.kept) });
    return removed;
  }

  /** Removes what there is of the event at `state.kept`: it may be lost. */
  #removeOne(tx: Tx, state: OutboxState, settled: Settled | null): void {
    const key = keys.outbox.event(this.book, state.kept);
    state.bytes -= tx.get(key)?.length ?? 0;
    tx.del(key);
    if (settled === null) return;
    state.sealed -= 1;
    tx.del(keys.outbox.receipt(this.book, state.kept));
    tx.del(keys.outbox.id(this.book, settled.receipt.id));
  }

  #settledAt(dseq: number): Settled | null {
    return decodeSettled(this.#o.store.getNow(keys.outbox.receipt(this.book, dseq)));
  }

  #timeOf(dseq: number): string | null {
    if (this.#oldest?.dseq === dseq) return this.#oldest.at;
    const staged = decodeStaged(this.#o.store.getNow(keys.outbox.event(this.book, dseq)));
    if (staged === null) return null;
    this.#oldest = { dseq, at: (JSON.parse(staged.text.toString()) as Event).at };
    return this.#oldest.at;
  }

  #state(tx?: Tx): OutboxState {
    const { key, codec } = this.#cell;
    return (
      (tx === undefined ? codec.decode(this.#o.store.getNow(key)) : tx.read(this.#cell)) ?? newOutboxState(this.epoch)
    );
  }

  #put(tx: Tx, state: OutboxState): void {
    tx.set(this.#cell, state);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

function decodeSettled(bytes: Buffer | undefined): Settled | null {
  return bytes === undefined ? null : (JSON.parse(bytes.toString()) as Settled);
}

function idTaken(id: string, epoch: string): RastroError {
  return new RastroError({
    code: "id_conflict",
    message: `Staging event ${id} failed: the outbox ${epoch} holds an event of this id, expected a new id.`,
    field: "id",
    given: id,
  });
}
