import { join } from "node:path";
import { trustOf } from "../../verify/trust.ts";
import { verifyFile } from "../../verify/verify-file.ts";
import { ExportFilter } from "../../../lib/contracts/export.ts";
import { createExports } from "../../../lib/storage/export/book-export.ts";
import { writeJsonLines } from "../../export/export-book.ts";
import { writeNewFile } from "../../export/new-file.ts";
import { keepMemorySteady } from "../../export/steady-memory.ts";
import { openBook } from "./large-book.ts";

/** Whom an export of the benchmark is for. */
const CALLER = { sub: "bench", auth: "local" as const };
const ID = "0193f3a0-0000-7000-8000-000000000000";
const EVERYTHING = ExportFilter.parse({});

type Figures = { perSecond: number; p50Ms: number; p99Ms: number };

/** What the service and the command line do for an export of everything, without the broker between them. */
export async function exportAll(folder: string): Promise<Figures> {
  keepMemorySteady();
  const { store, book, close } = await openBook(folder);
  const exports = createExports({
    store,
    book,
    checkpoint: async () => null,
    names: { byName: () => undefined },
    words: async () => ({ who: null, text: null }),
    tell: async () => undefined,
    onUntold: () => undefined,
    newId: () => ID,
    self: { now: Date.now, tz: "UTC" },
  });
  const begunAt = performance.now();
  const request = { filter: EVERYTHING, format: "jsonl" as const, names: false };
  const begun = await exports["book-export"](request, CALLER, () => undefined);
  // Pages go over a topic as JSON.
  const fetch = async (from: number) =>
    JSON.parse(JSON.stringify(await exports["book-export-page"]({ id: begun.id, from }, CALLER))) as Awaited<
      ReturnType<(typeof exports)["book-export-page"]>
    >;
  const { records } = await writeNewFile(exportOf(folder), (sink) =>
    writeJsonLines(sink, begun, fetch, () => undefined),
  );
  const ms = performance.now() - begunAt;
  await close();
  return { perSecond: (records / ms) * 1000, p50Ms: ms, p99Ms: ms };
}

/** What the verifier does with that export. */
export async function checkExport(folder: string): Promise<Figures> {
  const begun = performance.now();
  const report = await verifyFile(exportOf(folder), trustOf({ policy: null, keys: [], hashesOnly: true }));
  const ms = performance.now() - begun;
  if (!report.ok) throw new Error(`the benchmark's export is not whole: ${report.refusal}`);
  return { perSecond: ((report.export?.records ?? 0) / ms) * 1000, p50Ms: ms, p99Ms: ms };
}

function exportOf(folder: string): string {
  return join(folder, "all.jsonl");
}
