import { createHash } from "node:crypto";
import type { Command, CommandResult } from "../../lib/contracts/commands.ts";
import type { Store, Tx } from "../../lib/storage/store/store.ts";

/** How long what was executed is remembered, ms; its notAfter has long passed then. */
export const JOURNAL_KEPT_MS: number = 30 * 24 * 3_600_000;

const PREFIX = "scommand/";
const NEWEST = Buffer.from("scommand-newest");

/** A command that was begun; `result` is null until it ended. `digest` is of the bytes that were signed. */
export type Entry = { id: string; name: string; digest: string; at: number; result: CommandResult | null };

export type Journal = {
  find(id: string): Entry | undefined;
  /** ms; the newest `issuedAt` of any command that was begun. */
  newest(): number;
  /** On disk, synced, when it resolves: only then may the command be executed. @throws RastroError `store_unusable`. */
  begin(command: Command, body: string): Promise<Entry>;
  /** Keeps the result and the event that tells audit of it, in one write. */
  finish(entry: Entry, result: CommandResult): Promise<void>;
  /** Commands that were begun and have no result: the agent ended in the middle of them. */
  cutOff(): Promise<Entry[]>;
  /** Forgets what ended longer than {@link JOURNAL_KEPT_MS} ago. */
  prune(): Promise<void>;
};

/** What makes a command be executed once: each id that was begun, with its result. Lies in the outboxes' store. */
export function createJournal(o: {
  store: Pick<Store, "write" | "getNow" | "range">;
  /** Stages the event that tells audit of an outcome. */
  tell: (tx: Tx, entry: Entry, result: CommandResult) => void;
  now: () => number;
}): Journal {
  async function* all(): AsyncGenerator<Entry> {
    const range = { gte: Buffer.from(PREFIX), lt: Buffer.from(`${PREFIX}~`) };
    for await (const [, value] of o.store.range(range)) yield decode(value);
  }

  return {
    find(id) {
      const bytes = o.store.getNow(keyOf(id));
      return bytes === undefined ? undefined : decode(bytes);
    },
    newest: () => Number(o.store.getNow(NEWEST)?.toString() ?? 0),
    begin: (command, body) =>
      o.store.write((tx) => {
        const entry = { id: command.id, name: command.name, digest: digestOf(body), at: o.now(), result: null };
        const newest = Math.max(Date.parse(command.issuedAt), Number(tx.get(NEWEST)?.toString() ?? 0));
        tx.put(keyOf(command.id), encode(entry));
        tx.put(NEWEST, Buffer.from(String(newest)));
        return entry;
      }),
    finish: (entry, result) =>
      o.store.write((tx) => {
        tx.put(keyOf(entry.id), encode({ ...entry, result }));
        o.tell(tx, entry, result);
      }),
    async cutOff() {
      const found: Entry[] = [];
      for await (const entry of all()) if (entry.result === null) found.push(entry);
      return found;
    },
    async prune() {
      const before = o.now() - JOURNAL_KEPT_MS;
      for await (const entry of all()) {
        if (entry.result !== null && entry.at < before) await o.store.write((tx) => tx.del(keyOf(entry.id)));
      }
    },
  };
}

export function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function keyOf(id: string): Buffer {
  return Buffer.from(PREFIX + id);
}

function encode(entry: Entry): Buffer {
  return Buffer.from(JSON.stringify(entry));
}

function decode(bytes: Buffer): Entry {
  return JSON.parse(bytes.toString("utf8")) as Entry;
}
