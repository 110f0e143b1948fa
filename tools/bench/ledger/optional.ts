/**
 * A package that only this benchmark compares with: null where it is not installed. By name, since whoever has no
 * use for it shall be able to check everything else without it.
 *
 * @typeParam T - what is used of it.
 */
export async function importIfInstalled<T>(name: string): Promise<T | null> {
  try {
    return (await import(name)) as T;
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === "ERR_MODULE_NOT_FOUND") return null;
    throw thrown;
  }
}
