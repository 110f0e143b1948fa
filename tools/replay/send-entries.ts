import { RastroError } from "../../lib/contracts/errors.ts";
import type { Receipt } from "../../lib/contracts/events.ts";
import { paced } from "./pace.ts";
import type { ReplayedEntry } from "./report-entry.ts";

/** As much of the agent's door as is needed here. */
export interface EntryDoor {
  saveAll(entries: readonly Omit<ReplayedEntry, "line">[]): Promise<void>;
  statusesOf(ids: readonly string[]): Promise<{ id: string; status: Receipt | "waiting" | null }[]>;
}

export type SendProgress = { saved: number; received: number };

/** Entries of one request to the door, and ids of one question. */
const BATCH = 500;
const ASK_EVERY_MS = 100;
/** How long to wait for one more receipt. The agent goes on either way. */
const STALLED_AFTER_MS = 60_000;

/**
 * Hands entries to the agent, oldest first, and waits until each has its receipt. Saving and receipts run side by side.
 *
 * @returns the receipts, by the id of the entry.
 * @throws RastroError `timeout` when no receipt came for a minute while some are owed; what the door answers.
 */
export async function sendEntries(o: {
  door: EntryDoor;
  entries: readonly ReplayedEntry[];
  speed: number | null;
  now: () => number;
  wait: (ms: number) => Promise<void>;
  onProgress: (progress: SendProgress) => void;
}): Promise<Map<string, Receipt>> {
  const receipts = new Map<string, Receipt>();
  const owed = new Set<string>();
  const progress = { saved: 0, received: 0 };
  const state = { saving: true, failed: false };

  async function save(): Promise<void> {
    for await (const batch of paced({ ...o, items: o.entries, batch: BATCH })) {
      if (state.failed) return;
      await o.door.saveAll(batch.map(({ line: _line, ...entry }) => entry));
      for (const { id } of batch) owed.add(id);
      progress.saved += batch.length;
      o.onProgress(progress);
    }
    state.saving = false;
  }

  async function collect(): Promise<void> {
    let heardAt = o.now();
    while (!state.failed && (state.saving || owed.size > 0)) {
      const came = await askOnce();
      if (came > 0 || owed.size === 0) heardAt = o.now();
      if (o.now() - heardAt > STALLED_AFTER_MS) throw stalled(owed.size, o.entries.length);
      // Receipts come in order: after a full answer the next are likely to be there already.
      if (came < BATCH) await o.wait(ASK_EVERY_MS);
    }
  }

  async function askOnce(): Promise<number> {
    if (owed.size === 0) return 0;
    const statuses = await o.door.statusesOf([...owed].slice(0, BATCH));
    const before = receipts.size;
    for (const { id, status } of statuses) {
      if (status === null || status === "waiting") continue;
      receipts.set(id, status);
      owed.delete(id);
    }
    progress.received = receipts.size;
    if (receipts.size > before) o.onProgress(progress);
    return receipts.size - before;
  }

  const noteFailure = (error: unknown) => {
    state.failed = true;
    throw error;
  };
  await Promise.all([save().catch(noteFailure), collect().catch(noteFailure)]);
  return receipts;
}

function stalled(owed: number, all: number): RastroError {
  return new RastroError({
    code: "timeout",
    message:
      `Waiting for receipts failed: none came for ${STALLED_AFTER_MS / 1000} s while ${owed} of ${all} entries have none; ` +
      `the agent keeps them and goes on sending, and the same command asks again.`,
    given: `${owed} without a receipt`,
    expected: "a receipt for each entry",
  });
}
