import { existsSync } from "node:fs";
import type { Book } from "../../../../lib/storage/book/book.ts";
import { exportOf, withBook, withServedBook } from "../../../support/book-folder.ts";

/*
 * Opens and verifies books in folders that were damaged, in a process of its own: LevelDB ends the process when it
 * merges tables whose keys are out of order. A folder that was left so is opened as a service opens it.
 */

/** What came of one damage: said at the opening, found by a verification, or nothing; then the export is compared. */
export type ProbeAnswer = { outcome: "at open" | "by verification" | "unnoticed"; exported: string | null };

process.on("message", (folder: string) => {
  void probe(folder).then((answer) => process.send?.(answer));
});

async function probe(folder: string): Promise<ProbeAnswer> {
  try {
    const withIt = existsSync(`${folder}/store.open`) ? withServedBook : withBook;
    return await withIt(folder, async (book) => {
      if (book.damage !== null) return { outcome: "at open", exported: null };
      const { ok } = await book.verify();
      return ok
        ? { outcome: "unnoticed", exported: exportOrNone(book) }
        : { outcome: "by verification", exported: null };
    });
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === "store_unusable") return { outcome: "at open", exported: null };
    throw thrown;
  }
}

function exportOrNone(book: Book): string {
  try {
    return exportOf(book);
  } catch {
    return "a record that cannot be read";
  }
}
