import { z } from "zod";
import { RastroError } from "../../contracts/errors.ts";
import type { BookName } from "../../contracts/names.ts";
import { type Checkpoint, parseCheckpoint } from "../../ledger/checkpoint.ts";
import { formatNote } from "../../ledger/signed-note.ts";
import { NotTheNext, RecordWriter } from "../book/record-writer.ts";
import type { Store } from "../store/store.ts";
import { MirroredQuarantine, noteWanted } from "./mirrored-quarantine.ts";

/** What a mirror knows of its log beyond the records. */
const KEY = Buffer.from("s/mirror");
/** The bytes that could not be taken, as they came. */
const REFUSED_KEY = Buffer.from("s/refused");

/**
 * Why a mirror follows no further. `fork`: the log signed two histories, which `checkpoint` and the proven one show to
 * anybody. `records`: what was served does not continue what is here, or does not give the root that the log signed.
 */
const Divergence = z.strictObject({
  kind: z.enum(["fork", "records"]),
  /** One sentence. */
  why: z.string(),
  /** When it was found, by this side's clock. */
  at: z.string(),
  /** The checkpoint that does not fit, as a signed note; null where it was a record by itself. */
  checkpoint: z.string().nullable(),
});
export type Divergence = z.infer<typeof Divergence>;

const State = z.strictObject({
  v: z.literal(1),
  newest: z.string().nullable(),
  proven: z.string().nullable(),
  divergence: Divergence.nullable(),
  rotations: z.array(z.string()),
});
type State = z.infer<typeof State>;

const NEW_STATE: State = { v: 1, newest: null, proven: null, divergence: null, rotations: [] };

/**
 * What became of a checkpoint: `newer` than all before, so that records have to be fetched or proven; `known` one that
 * was seen; `older` than one that the log has signed before, of the same history: the log has lost records; `diverged`.
 */
export type Noted = "newer" | "known" | "older" | "diverged";

/**
 * A copy of somebody else's book: the records byte for byte, and the newest checkpoint of which all records are here
 * and give the root that the log signed. That checkpoint and what it covers is never given up for another history.
 *
 * Everything lies under keys: a mirror that is killed at any moment goes on where it was. Checking signatures is the
 * caller's; only checkpoints of the log's key belong in here.
 */
export class Mirror {
  readonly name: BookName;
  /** What the book has set apart. */
  readonly quarantine: MirroredQuarantine;
  readonly #store: Store;
  readonly #writer: RecordWriter;
  readonly #now: () => number;
  #state: State;
  #newest: Checkpoint | null;
  #proven: Checkpoint | null;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(o: { store: Store; name: BookName; now: () => number; writer: RecordWriter; state: State }) {
    this.name = o.name;
    this.#store = o.store;
    this.quarantine = new MirroredQuarantine(o.store);
    this.#now = o.now;
    this.#writer = o.writer;
    this.#state = o.state;
    this.#newest = parsed(o.state.newest);
    this.#proven = parsed(o.state.proven);
  }

  /** @throws RastroError `book_damaged` when the store does not hold what a mirror left there. */
  static open(o: { store: Store; name: BookName; now: () => number }): Mirror {
    const writer = RecordWriter.on(o.store);
    const state = readState(o.store);
    if (writer === null || state === null) throw damaged(o.name, "its head or its state does not read as one");
    const mirror = new Mirror({ ...o, writer, state });
    const { proven } = mirror;
    if (proven !== null && !mirror.#fits(proven)) {
      throw damaged(o.name, `its records do not give the root that was proven at ${proven.head.size}`);
    }
    return mirror;
  }

  /** How many records are on disk, proven or not. */
  get held(): number {
    return this.#writer.size;
  }

  /** The newest checkpoint of which everything is here; null before the first. */
  get proven(): Checkpoint | null {
    return this.#proven;
  }

  /** The newest checkpoint that the log is known to have signed. */
  get newest(): Checkpoint | null {
    return this.#newest;
  }

  get divergence(): Divergence | null {
    return this.#state.divergence;
  }

  /** The notes by which the log has changed its key, the oldest first, as far as it has told. */
  get rotations(): readonly string[] {
    return this.#state.rotations;
  }

  keepRotations(rotations: readonly string[]): Promise<void> {
    return this.#inTurn(() => this.#save({ ...this.#state, rotations: [...rotations] }));
  }

  /** Root over the first `size` records that are here; null where there are fewer. */
  rootAt(size: number): Buffer | null {
    return this.#writer.rootAt(size);
  }

  /** Takes notice of a checkpoint that the log has signed; on disk when it resolves. */
  note(checkpoint: Checkpoint): Promise<Noted> {
    return this.#inTurn(async () => {
      if (this.divergence !== null) return "diverged";
      if (this.#writer.size >= checkpoint.head.size && !this.#fits(checkpoint)) {
        await this.#diverge(this.#forkOf(checkpoint));
        return "diverged";
      }
      const known = this.#newest?.head.size ?? -1;
      if (checkpoint.head.size < known) return "older";
      if (checkpoint.head.size > known) {
        await this.#save({ ...this.#state, newest: formatNote(checkpoint.note) });
        return "newer";
      }
      // Of one size and not here yet: two roots are a fork whatever the records are.
      if (this.#newest?.head.root.equals(checkpoint.head.root) === true) return "known";
      await this.#diverge(this.#forkOf(checkpoint));
      return "diverged";
    });
  }

  /**
   * Appends records as they came from the log, beginning with number {@link Mirror.held}; on disk when it resolves.
   *
   * @returns false when they do not continue what is here: none of them is written, and the mirror has diverged.
   */
  append(records: readonly Uint8Array[]): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.divergence !== null) return false;
      try {
        await this.#writer.append(records, noteWanted);
        return true;
      } catch (error) {
        if (!(error instanceof NotTheNext)) throw error;
        await this.#diverge({ kind: "records", why: `${error.message}.`, checkpoint: null }, error.bytes);
        return false;
      }
    });
  }

  /**
   * Compares the records with a checkpoint that they reach, and keeps it as proven if they give its root.
   *
   * @returns whether they do; with false the mirror has diverged.
   */
  prove(checkpoint: Checkpoint): Promise<boolean> {
    return this.#inTurn(async () => {
      const { size } = checkpoint.head;
      if (this.divergence !== null) return false;
      if (size <= (this.#proven?.head.size ?? -1)) return true;
      if (this.#fits(checkpoint)) {
        await this.#save({ ...this.#state, proven: formatNote(checkpoint.note) });
        return true;
      }
      const why = `the ${size} records that were served do not give the root that the log has signed for as many.`;
      await this.#diverge({ kind: "records", why, checkpoint: formatNote(checkpoint.note) });
      return false;
    });
  }

  /**
   * Begins again from what is proven: gives up the records behind it and the divergence. For when a person has found
   * out what happened.
   */
  startOver(): Promise<void> {
    return this.#inTurn(async () => {
      const size = this.#proven?.head.size ?? 0;
      await this.quarantine.cutBackTo(size);
      await this.#writer.cutBackTo(size);
      await this.#save({ ...this.#state, newest: this.#state.proven, divergence: null });
    });
  }

  #forkOf({ head, note }: Checkpoint): Omit<Divergence, "at"> {
    const provenSize = this.#proven?.head.size ?? 0;
    const whole = `the log has signed a checkpoint over ${head.size} records`;
    const why =
      head.size <= provenSize
        ? `${whole} that is of another history than the one over ${provenSize} records that was proven here.`
        : `${whole} that is of another history than the records and checkpoints before it.`;
    return { kind: "fork", why, checkpoint: formatNote(note) };
  }

  async #diverge(found: Omit<Divergence, "at">, refused?: Buffer): Promise<void> {
    const state = { ...this.#state, divergence: { ...found, at: new Date(this.#now()).toISOString() } };
    await this.#save(state, refused);
  }

  #fits({ head }: Checkpoint): boolean {
    return this.rootAt(head.size)?.equals(head.root) ?? false;
  }

  async #save(state: State, refused?: Buffer): Promise<void> {
    await this.#store.write((tx) => {
      tx.put(KEY, Buffer.from(JSON.stringify(state)));
      if (refused !== undefined) tx.put(REFUSED_KEY, refused);
    });
    this.#newest = state.newest === this.#state.newest ? this.#newest : parsed(state.newest);
    this.#proven = state.proven === this.#state.proven ? this.#proven : parsed(state.proven);
    this.#state = state;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

function readState(store: Store): State | null {
  const bytes = store.getNow(KEY);
  if (bytes === undefined) return NEW_STATE;
  try {
    return State.parse(JSON.parse(bytes.toString("utf8")));
  } catch {
    return null;
  }
}

function parsed(note: string | null): Checkpoint | null {
  return note === null ? null : parseCheckpoint(note);
}

function damaged(name: BookName, why: string): RastroError {
  return new RastroError({
    code: "book_damaged",
    message: `Opening the mirror of the book ${name} failed: ${why}. Keep a copy of its folder, remove it and let it be made again.`,
  });
}
