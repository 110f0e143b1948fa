import { fork } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Book } from "../../../../lib/storage/book/book.ts";
import { liveTables } from "../../../../lib/storage/level/manifest.ts";
import type { Store } from "../../../../lib/storage/store/store.ts";
import { idOf, inputFor } from "../../../suites/events.ts";
import { random } from "../../../support/random.ts";
import { exportOf, withBook } from "../../../support/book-folder.ts";
import type { ProbeAnswer } from "./rot-probe.ts";

/*
 * A disk that rots below LevelDB, which reads without looking at its checksums: bits that flip in its files, files that
 * are gone, and an older folder that somebody puts back. Whatever happens, either the opening or a verification says
 * so, or every record still reads as it was.
 */

const SIZE = 2000;
/** Records in tables; the others lie in the log. */
const IN_TABLES = 1300;
const SEED = 20_261_124;
const AT_ONCE = 2;

let home: string;
let sound: string;
let exported: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "rastro-rot-"));
  sound = join(home, "sound");
  await mkdir(sound);
  await withBook(sound, async (book, store) => addRecords(book, store, 0, IN_TABLES / 2));
  await withBook(sound, async (book, store) => addRecords(book, store, IN_TABLES / 2, IN_TABLES));
  await withBook(sound, async (book, store) => {
    await addRecords(book, store, IN_TABLES, SIZE);
    exported = exportOf(book);
  });
});
afterAll(() => rm(home, { recursive: true, force: true }));

describe("a flipped bit", () => {
  it.each([
    [/\.ldb$/, 320],
    [/\.log$/, 130],
    [/^MANIFEST-/, 40],
    [/^CURRENT$/, 20],
  ])("in %s is found, or changes no record: %i of them", { timeout: 120_000 }, async (names, count) => {
    const pick = random(SEED + count);
    const files = (await readdir(join(sound, "store"))).filter((name) => names.test(name)).toSorted();
    expect(files).not.toEqual([]);
    const lengths = await Promise.all(files.map(async (name) => (await readFile(join(sound, "store", name))).length));
    const flips = Array.from({ length: count }, () => {
      const file = pick.below(files.length);
      return { file: files[file] as string, at: pick.below(lengths[file] as number), bit: pick.below(8) };
    });
    const outcomes: Record<string, number> = {};
    await inLanes(flips, async (flip, probe) => {
      const outcome = await outcomeAfter(probe, (folder) => flipBit(join(folder, "store", flip.file), flip));
      expect(outcome, JSON.stringify(flip)).not.toBe("UNSEEN");
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    });
    // How much of each there is depends on the files; that nothing at all is found would be the test's own fault.
    expect(count - (outcomes["no effect"] ?? 0)).toBeGreaterThan(0);
  });
});

describe("a file that is gone", () => {
  it("is found, whichever it is", async () => {
    // A merge that the closing cut short leaves tables behind that are the store's no more.
    const live = (await liveTables(join(sound, "store"))) ?? [];
    expect(live).not.toEqual([]);
    await inLanes(await readdir(join(sound, "store")), async (name, probe) => {
      const outcome = await outcomeAfter(probe, (folder) => rm(join(folder, "store", name)));
      const mayBeMissing = !/\.log$|^CURRENT$/.test(name) && !live.includes(name);
      expect(["at open", "by verification", ...(mayBeMissing ? ["no effect"] : [])], name).toContain(outcome);
    });
  });
});

describe("an older folder that is put back", () => {
  it("is known by the head note beside it, which was not put back with it", async () => {
    const folder = join(home, "older");
    await cp(sound, folder, { recursive: true });
    await withBook(folder, async (book, store) => addRecords(book, store, SIZE, SIZE + 3));
    await rename(join(folder, "store"), join(home, "newer-store"));
    await cp(join(sound, "store"), join(folder, "store"), { recursive: true });
    await withBook(folder, async (book) => {
      expect(book.damage).toBe(`truncated: the head note counts ${SIZE + 3} records, the store ${SIZE}`);
      expect(await book.verify()).toMatchObject({ ok: false, damaged: [{ seq: SIZE, kind: "truncated" }] });
      expect(exportOf(book)).toEqual(exported);
    });
  });
});

/** What came of a damage. LevelDB ends the process rather than merge tables whose keys are out of order. */
type Outcome = "at open" | "by verification" | "the process ended" | "no effect" | "UNSEEN";

async function outcomeAfter(probe: Probe, harm: (folder: string) => Promise<unknown>): Promise<Outcome> {
  const folder = await mkdtemp(join(home, "harmed-"));
  await cp(sound, folder, { recursive: true });
  try {
    await harm(folder);
    const answer = await probe.ask(folder);
    if (answer === null) return await outcomeOfNextStart(folder, probe);
    if (answer.outcome !== "unnoticed") return answer.outcome;
    return answer.exported === exported ? "no effect" : "UNSEEN";
  } finally {
    await rm(folder, { recursive: true, maxRetries: 3 });
  }
}

/** The next start finds that the store was not closed, and does not give a damaged table to LevelDB again. */
async function outcomeOfNextStart(folder: string, probe: Probe): Promise<Outcome> {
  await writeFile(join(folder, "store.open"), "");
  const answer = await probe.ask(folder);
  return answer?.outcome === "at open" ? "the process ended" : "UNSEEN";
}

type Probe = { ask(folder: string): Promise<ProbeAnswer | null>; end(): void };

/** A process that looks at one folder after the other; another takes its place when LevelDB has ended it. */
function startProbe(): Probe {
  const start = () => fork(join(import.meta.dirname, "rot-probe.ts"), { stdio: "ignore" });
  let child = start();
  return {
    async ask(folder) {
      const { promise, resolve } = Promise.withResolvers<ProbeAnswer | null>();
      const onExit = () => resolve(null);
      child.once("message", (answer) => resolve(answer as ProbeAnswer)).once("exit", onExit);
      child.send(folder);
      const answer = await promise;
      child.off("exit", onExit);
      if (answer === null) child = start();
      return answer;
    },
    end: () => void child.kill(),
  };
}

async function inLanes<T>(items: T[], work: (item: T, probe: Probe) => Promise<void>): Promise<void> {
  const rest = items.values();
  const lanes = Array.from({ length: AT_ONCE }, async () => {
    const probe = startProbe();
    try {
      for (const item of rest) await work(item, probe);
    } finally {
      probe.end();
    }
  });
  await Promise.all(lanes);
}

async function flipBit(path: string, { at, bit }: { at: number; bit: number }): Promise<void> {
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
  await writeFile(path, bytes);
}

async function addRecords(book: Book, store: Store, first: number, end: number): Promise<void> {
  const numbers = Array.from({ length: end - first }, (_, index) => first + index);
  await Promise.all(numbers.map((n) => store.write((tx) => book.append(tx, inputFor(n, null), idOf(n)))));
}
