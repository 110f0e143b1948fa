import type { LogNotes } from "../../../lib/witness/log-notes.ts";

/** The ways in which a disk fails: not written; written, but reported as failed. */
export type DiskFault = "none" | "not-written" | "written-but-failed";

/** Notes in memory, whose disk fails as it is told. What is in `kept` is what a crash leaves. */
export function memoryNotes(kept = new Map<string, string>()) {
  const state = { fault: "none" as DiskFault, writes: 0, kept };
  const notes: LogNotes = {
    read: async (origin) => kept.get(origin) ?? null,
    write: async (origin, note) => {
      // As on a real disk, others get their turn before it is written.
      await Promise.resolve();
      if (state.fault !== "not-written") kept.set(origin, note);
      state.writes += 1;
      if (state.fault !== "none") throw new Error("the disk failed");
    },
  };
  return { notes, state };
}
