import type { Store } from "../../lib/storage/store/store.ts";

/** The rows of a store whose keys begin with one of these letters, as text: key and value in hexadecimal. */
export async function rowsOf(store: Store, letters: string): Promise<string[]> {
  const rows: string[] = [];
  for (const letter of letters) {
    const gte = Buffer.from(letter);
    const lt = Buffer.from([letter.charCodeAt(0) + 1]);
    for await (const [key, value] of store.range({ gte, lt })) {
      rows.push(`${key.toString("hex")} ${value.toString("hex")}`);
    }
  }
  return rows;
}
