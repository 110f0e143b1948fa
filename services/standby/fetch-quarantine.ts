import { RastroError } from "../../lib/contracts/errors.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import { type After, createBackoff, createSignal, within } from "../../lib/messaging/timing.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Mirror } from "../../lib/storage/copy/mirror.ts";
import type { MirroredQuarantine, Wanted } from "../../lib/storage/copy/mirrored-quarantine.ts";

/** A piece of the bytes under this hash, from `offset` on; `next` is where the following one begins, null after the last. */
export type FetchPiece = (digest: Buffer, offset: number) => Promise<{ piece: Buffer; next: number | null }>;

/** For so long a fetcher that is to stop goes on with what is wanted, ms. */
const FINISH_MS = 1000;

export type FetchQuarantineOptions = {
  book: BookName;
  mirror: Pick<Mirror, "held" | "proven">;
  quarantine: MirroredQuarantine;
  fetch: FetchPiece;
  after: After;
  random: (bytes: number) => Buffer;
  log: Logger;
};

export type QuarantineFetcher = {
  /** Of how many events that proven records say were set apart the bytes are not here. */
  wanted(): number;
  /** The mirror may have proven more. */
  changed(): void;
  /** Goes on with what is wanted for at most a second, and stops. */
  close(): Promise<void>;
};

/**
 * Fetches the bytes of what a book has set apart, one event after the other, as far as the records that tell of them are
 * proven. It goes on beside the following of the book and never holds it up. What the book's service has not itself, or
 * has otherwise, is left out until the next start.
 */
export function fetchQuarantine(o: FetchQuarantineOptions): QuarantineFetcher {
  const { book, mirror, quarantine, log } = o;
  const work = createSignal();
  const backoff = createBackoff({ minimumMs: 1000, maximumMs: 60_000, random: o.random });
  const lost = new Set<number>();
  let wanted = 0;
  let seen = -1;
  let leaving = false;
  let closed = false;
  let cancelRetry = () => {};
  let trouble: string | null = null;

  async function run(): Promise<void> {
    for (;;) {
      await work.wait();
      // One that was begun before may not have seen the newest.
      const isLast = leaving;
      try {
        await catchUp();
        trouble = null;
        backoff.reset();
      } catch (error) {
        if (closed) return;
        troubled(error);
        cancelRetry = o.after(backoff.next(), () => work.raise());
      }
      if (isLast || closed) return cancelRetry();
    }
  }

  async function catchUp(): Promise<void> {
    await quarantine.lookThrough(mirror.held);
    const all = await quarantine.wanted(mirror.proven?.head.size ?? 0);
    wanted = all.length;
    for (const one of all) {
      if (lost.has(one.seq)) continue;
      const bytes = await whole(one);
      if (closed) return;
      if (bytes !== null && (await quarantine.keep(one, bytes))) wanted -= 1;
      else giveUp(one);
    }
  }

  /** Null when the service does not have it. */
  async function whole({ digest, length }: Wanted): Promise<Buffer | null> {
    const pieces: Buffer[] = [];
    let held = 0;
    try {
      for (let offset: number | null = 0; offset !== null && held < length;) {
        const answer = await o.fetch(digest, offset);
        pieces.push(answer.piece);
        held += answer.piece.length;
        // One that leads nowhere would be asked for without an end.
        offset = answer.next === held ? held : null;
      }
      return Buffer.concat(pieces);
    } catch (error) {
      if (error instanceof RastroError && error.code === "unknown_record") return null;
      throw error;
    }
  }

  function giveUp({ seq, digest }: Wanted): void {
    lost.add(seq);
    const why = "the book has not the bytes that its record says it has set apart";
    log.warn({ book, seq, sha256: digest.toString("hex") }, why);
  }

  function troubled(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (message !== trouble) log.warn({ book, err: error }, "what the book has set apart could not be fetched yet");
    trouble = message;
  }

  work.raise();
  const running = run();
  return {
    wanted: () => wanted,
    changed() {
      const size = mirror.proven?.head.size ?? 0;
      if (size === seen) return;
      seen = size;
      work.raise();
    },
    async close() {
      leaving = true;
      work.raise();
      // What is not here when a standby is promoted is lacking for good.
      await within(FINISH_MS, running, o.after);
      closed = true;
      cancelRetry();
    },
  };
}
