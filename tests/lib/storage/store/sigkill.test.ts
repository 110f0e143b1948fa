import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Book } from "../../../../lib/storage/book/book.ts";
import { Outbox } from "../../../../lib/storage/outbox/outbox.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { idOf, NOW } from "../../../suites/events.ts";

const WRITER = fileURLToPath(new URL("writer-to-kill.ts", import.meta.url));

describe("a writer that is killed", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rastro-killed-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("leaves all that it had said was on disk, book and outbox in step, and can be followed by another", async () => {
    let next = 1;
    for (const kills of [1, 57, 300]) {
      const said = await writeUntilKilled(next, kills);
      expect(said.length).toBeGreaterThanOrEqual(kills);
      next = await checkAll(said);
    }
  });

  /** Kills the writer as soon as it has said so many numbers; gives all that it said. */
  async function writeUntilKilled(first: number, kills: number): Promise<number[]> {
    const writer = spawn(process.execPath, [WRITER, folder, String(first)], { stdio: ["ignore", "pipe", "inherit"] });
    const said: number[] = [];
    const closed = once(writer, "close");
    createInterface({ input: writer.stdout }).on("line", (line) => {
      said.push(Number(line));
      if (said.length === kills) writer.kill("SIGKILL");
    });
    await closed;
    return said;
  }

  async function checkAll(said: readonly number[]): Promise<number> {
    const store = await Store.openFolder(join(folder, "store"));
    const headNote = join(folder, "head.note");
    const book = await Book.open({ store, name: "production", origin: "test/production", headNote });
    const outbox = await Outbox.open({
      store,
      book: "audit",
      name: "production",
      app: "production@0.1.0",
      sign: null,
      random: (length) => Buffer.alloc(length, 2),
      now: () => NOW,
    });
    expect(book.damage).toBeNull();
    const report = await book.verify();
    expect(report).toMatchObject({ ok: true });
    for (const n of said) {
      expect(book.find(idOf(n))).toBeTypeOf("number");
      expect(await outbox.receiptOf(idOf(n))).toBe("waiting");
    }
    const waiting = await outbox.read({ from: null, maxEvents: 100_000, maxBytes: 1e9 });
    expect(waiting.map(({ dseq }) => dseq)).toEqual(Array.from({ length: report.size }, (_, index) => index + 1));
    expect(outbox).toMatchObject({ epoch: "01".repeat(8) });
    expect(outbox.depth()).toMatchObject({ waiting: report.size });
    await book.close();
    await store.close();
    return report.size + 1;
  }
});
