import { readFile, rm } from "node:fs/promises";
import { RastroError } from "../contracts/errors.ts";
import { parseJson } from "../contracts/parse.ts";
import { PromotionMark } from "../contracts/standby.ts";
import { codeOf, replaceFile, unusable } from "./new-file.ts";

/** Leaves word of a book that was put in place from a standby. On disk when it resolves. @throws RastroError `store_unusable`. */
export function leavePromotion(file: string, mark: PromotionMark): Promise<void> {
  return replaceFile(file, `${JSON.stringify(mark)}\n`);
}

/**
 * What was left; null when there was nothing. To be called before a book's store is opened: one that was being put in
 * place when that was cut off may be missing, and a service would begin an empty one.
 *
 * @throws RastroError `store_unusable` when it was cut off.
 */
export async function requirePromoted(file: string): Promise<PromotionMark | null> {
  const mark = await readPromotion(file);
  if (mark === null || mark.state === "done") return mark;
  const command = mark.act === "promoted" ? "promote" : "restore";
  const message = `Opening the store of the book ${mark.book} failed: putting it in place from a standby was cut off. Run "rastro standby ${command}" again.`;
  throw new RastroError({ code: "store_unusable", message, given: file });
}

/** Once what it tells is on record. */
export async function removePromotion(file: string): Promise<void> {
  await rm(file, { force: true });
}

/** What was left, whatever its state. */
export async function readPromotion(file: string): Promise<PromotionMark | null> {
  try {
    return parseJson(PromotionMark, await readFile(file), file);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw unusable("Reading", file, error);
  }
}
