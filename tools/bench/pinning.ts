import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";

/** Whether processes can be held to cores of their own: that takes two cores and taskset (util-linux). */
export function canPin(): boolean {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return availableParallelism() > 1 && folders.some((folder) => existsSync(join(folder, "taskset")));
}
