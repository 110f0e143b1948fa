import { z } from "zod";
import type { BookName } from "../../../lib/contracts/names.ts";
import { Count } from "../../../lib/contracts/names.ts";
import type { Checkpoint } from "../../../lib/ledger/checkpoint.ts";
import { keys } from "../../../lib/storage/keys.ts";
import type { Store } from "../../../lib/storage/store/store.ts";
import { asSigned } from "./witnessed-log.ts";

/** Timers may fire a little before their time. */
const EARLY_MS = 1000;

/** What is kept of one witness and one log. Times in ms since 1970. */
const Kept = z.object({
  /** By which key it cosigned: of another key nothing is known. */
  keyId: Count,
  /** The size that it cosigned last, or says that it has. */
  size: Count.nullable(),
  /** The checkpoint that it cosigned last for us, as the log signed it. */
  note: z.string().nullable(),
  at: Count.nullable(),
  error: z.string().nullable(),
  errorAt: Count.nullable(),
});
type Kept = z.infer<typeof Kept>;

/** How far one witness has come with one log. What is known is on disk soon after; to lose it costs one more question. */
export interface Progress {
  /** Null while nothing is known. */
  size(): number | null;
  /** The size that it cosigned last for us: of its own word alone it has vouched for nothing. */
  cosignedSize(): number | null;
  /** The checkpoint that it cosigned last for us, as the log signed it; null where only its size is known. */
  note(): string | null;
  /** When it cosigned last, ms since 1970; null for never. */
  at(): number | null;
  /** What was wrong when it was asked last; null when nothing was. */
  error(): string | null;
  isDue(checkpoint: Checkpoint, now: number, heartbeatMs: number): boolean;
  learned(size: number): void;
  cosigned(checkpoint: Checkpoint, now: number): void;
  failed(why: string, now: number): void;
}

/** @param o.onFault - what is kept could not be written. */
export function openProgress(o: {
  store: Pick<Store, "getNow" | "writePatiently">;
  book: BookName;
  witness: string;
  keyId: number;
  onFault: (error: unknown) => void;
}): Progress {
  const place = keys.witness(o.book, o.witness);
  let kept = read(o.store.getNow(place), o.keyId);

  function keep(changed: Partial<Kept>): void {
    kept = { ...kept, ...changed };
    const value = Buffer.from(JSON.stringify(kept));
    o.store.writePatiently((tx) => tx.put(place, value)).catch(o.onFault);
  }

  return {
    size: () => kept.size,
    cosignedSize: () => (kept.note === null ? null : kept.size),
    note: () => kept.note,
    at: () => kept.at,
    error: () => kept.error,
    isDue: (checkpoint, now, heartbeatMs) =>
      kept.note !== asSigned(checkpoint) ||
      kept.error !== null ||
      kept.at === null ||
      now - kept.at >= heartbeatMs - EARLY_MS,
    learned: (size) => keep({ size, note: null }),
    cosigned: (checkpoint, now) =>
      keep({ size: checkpoint.head.size, note: asSigned(checkpoint), at: now, error: null, errorAt: null }),
    failed: (why, now) => keep({ error: why, errorAt: now }),
  };
}

function read(bytes: Buffer | undefined, keyId: number): Kept {
  const nothing = { keyId, size: null, note: null, at: null, error: null, errorAt: null };
  if (bytes === undefined) return nothing;
  const kept = Kept.safeParse(JSON.parse(bytes.toString("utf8")));
  return kept.success && kept.data.keyId === keyId ? kept.data : nothing;
}
