import { StoreName } from "../../lib/contracts/backup.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { type StorePlace, storePlace } from "../../lib/runtime/backup-places.ts";
import { type Folders, foldersOf } from "../../lib/runtime/folders.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import { readSettings } from "../../lib/runtime/settings.ts";

/** The stores that were named; all of them when none was. @throws RastroError `schema`. */
export function storesOf(given: readonly string[]): StoreName[] {
  return given.length === 0 ? [...StoreName.options] : given.map((name) => parseValue(StoreName, name, "the store"));
}

/** Where a store of this computer's data folder is. */
export type LocalPlace = StorePlace & { data: string; folders: Folders; plant: string };

/** @throws RastroError `bad_setting`; `store_unusable` where there is no plant. */
export async function localPlace(env: NodeJS.ProcessEnv, name: StoreName): Promise<LocalPlace> {
  const { data, backups } = readSettings(env);
  const folders = foldersOf(data);
  const { id: plant } = await readPlant(data);
  return { ...storePlace(name, { folders, plant, backups }), data, folders, plant };
}
