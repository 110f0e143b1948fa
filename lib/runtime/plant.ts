import { readFile } from "node:fs/promises";
import { z } from "zod";
import { RastroError } from "../contracts/errors.ts";
import { Instant, Segment } from "../contracts/names.ts";
import { parseJson } from "../contracts/parse.ts";
import { foldersOf } from "./folders.ts";
import { codeOf, createOnce, unusable } from "./new-file.ts";

/** A plant's id never changes: it is part of the origin of its books and the audience of every token. */
export const Plant = z.strictObject({ id: Segment, createdAt: Instant });
export type Plant = z.infer<typeof Plant>;

/**
 * Reads the plant of a data folder, and makes it at the first run. Processes that do so at once get the same one.
 *
 * @throws RastroError `store_unusable` naming the file.
 */
export async function openPlant(o: {
  data: string;
  now: () => number;
  random: (bytes: number) => Buffer;
}): Promise<Plant> {
  const existing = await readIfThere(o.data);
  if (existing !== null) return existing;
  const plant: Plant = { id: `plant-${o.random(8).toString("hex")}`, createdAt: new Date(o.now()).toISOString() };
  await createOnce(foldersOf(o.data).plant, `${JSON.stringify(plant)}\n`, 0o644);
  return readPlant(o.data);
}

/**
 * Reads the plant of a data folder that has been started before.
 *
 * @throws RastroError `store_unusable` when there is none.
 */
export async function readPlant(data: string): Promise<Plant> {
  const plant = await readIfThere(data);
  if (plant !== null) return plant;
  throw new RastroError({
    code: "store_unusable",
    message: `Reading ${foldersOf(data).plant} failed: it does not exist; start Rastro once with this data folder, or name another in RASTRO_DATA.`,
    given: data,
    expected: "a data folder that Rastro has made",
  });
}

async function readIfThere(data: string): Promise<Plant | null> {
  const file = foldersOf(data).plant;
  try {
    return parseJson(Plant, await readFile(file), file);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw unusable("Reading", file, error);
  }
}
