import type { ExportBegun, ExportItem, ExportPage } from "../../lib/contracts/export.ts";
import { ExportText } from "../../lib/ledger/export-text.ts";
import { BYTE_ORDER_MARK, csvLine } from "./csv.ts";
import { CSV_HEADER, csvRow } from "./csv-row.ts";
import type { Sink } from "./new-file.ts";

/** How many records went into a file, were left out, or could not be read in the book. */
export type Written = { records: number; omitted: number; unreadable: number };

/** Where pages come from; `from` is 0, then the `next` of the page before. */
export type FetchPage = (from: number) => Promise<ExportPage>;

type Progress = (done: number) => void;

/** Writes an export as JSON Lines that verify. @throws what fetching and writing throw. */
export async function writeJsonLines(
  sink: Sink,
  begun: ExportBegun,
  fetch: FetchPage,
  onProgress: Progress,
): Promise<Written> {
  const { book, origin, size, root, filter, madeAt, checkpoint } = begun;
  const text = new ExportText();
  await sink.write(text.header({ book, origin, size, root, filter, madeAt }));
  await eachItem(size, fetch, onProgress, (item) => sink.write(lineOf(text, item)));
  await sink.write(text.trailer(checkpoint));
  return { ...text.counts };
}

function lineOf(text: ExportText, item: ExportItem): string {
  if ("record" in item) return text.record(item.seq, Buffer.from(item.record));
  const { gap, from, to, hashes } = item;
  return text.gap(gap, { from, to, hashes: hashes.map((hash) => Buffer.from(hash, "hex")) });
}

/** Writes an export as CSV: for people and spreadsheets; it proves nothing. Throws as {@link writeJsonLines}. */
export async function writeCsv(
  sink: Sink,
  begun: ExportBegun,
  fetch: FetchPage,
  o: { separator: string; byteOrderMark: boolean; onProgress: Progress },
): Promise<Written> {
  const written = { records: 0, omitted: 0, unreadable: 0 };
  await sink.write(`${o.byteOrderMark ? BYTE_ORDER_MARK : ""}${csvLine(CSV_HEADER, o.separator)}`);
  await eachItem(begun.size, fetch, o.onProgress, async (item) => {
    if ("gap" in item) {
      written[item.gap] += item.to - item.from;
      return;
    }
    written.records += 1;
    await sink.write(csvLine(csvRow(item), o.separator));
  });
  return written;
}

/** The next page is on its way while one is written: no more than two are held. */
async function eachItem(
  size: number,
  fetch: FetchPage,
  onProgress: Progress,
  take: (item: ExportItem) => Promise<void>,
): Promise<void> {
  let coming = size > 0 ? fetch(0) : null;
  while (coming !== null) {
    const { items, next } = await coming;
    coming = next < size ? fetch(next) : null;
    // Whoever fails to write still waits for the page, so that its failure is heard here and nowhere else.
    coming?.catch(() => undefined);
    for (const item of items) await take(item);
    onProgress(next);
  }
}
