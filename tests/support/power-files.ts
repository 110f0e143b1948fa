import { dirname } from "node:path";

/** A file's content as programs read it, and as far as it is on the disk; null where nothing of it is. */
type Inode = { seen: string; disk: string | null };
/** A change of a folder's names that the disk has not got yet. */
type Change = { folder: string; name: string; inode: Inode | null; moved?: string };

/**
 * As much of `node:fs/promises` as files that are replaced whole need, in memory, on a disk that loses at a power cut
 * whatever was not synced: content that was not, and of the names of each folder some of the last changes, each whole.
 */
export function createPowerFiles(choose: (limit: number) => number) {
  let seen = new Map<string, Inode>();
  let pending: Change[] = [];
  let disk = new Map<string, Inode>();
  let left = Number.POSITIVE_INFINITY;

  /** Once the power is off no call comes back. */
  async function step<T>(work: () => T): Promise<T> {
    if (left <= 0) return new Promise<T>(() => {});
    left -= 1;
    return work();
  }

  function change(path: string, inode: Inode | null, moved?: string): void {
    if (inode === null) seen.delete(path);
    else seen.set(path, inode);
    if (moved !== undefined) seen.delete(moved);
    pending.push({ folder: dirname(path), name: path, inode, ...(moved !== undefined && { moved }) });
  }

  function settle({ name, inode, moved }: Change): void {
    if (inode === null) disk.delete(name);
    else disk.set(name, inode);
    if (moved !== undefined) disk.delete(moved);
  }

  function syncFolder(folder: string): void {
    pending.filter((one) => one.folder === folder).forEach(settle);
    pending = pending.filter((one) => one.folder !== folder);
  }

  const missing = (path: string) => Object.assign(new Error(`ENOENT: ${path}`), { code: "ENOENT" });
  const find = (path: string): Inode => {
    const inode = seen.get(path);
    if (inode === undefined) throw missing(path);
    return inode;
  };

  const files = {
    mkdir: () => step(() => undefined),
    open: (path: string, flags: string) =>
      step(() => {
        const inode: Inode = { seen: "", disk: null };
        if (flags !== "r") change(path, inode);
        return {
          writeFile: (text: string) => step(() => void (inode.seen = text)),
          sync: () => step(() => (flags === "r" ? syncFolder(path) : void (inode.disk = inode.seen))),
          close: () => step(() => undefined),
        };
      }),
    rename: (from: string, to: string) => step(() => change(to, find(from), from)),
    unlink: (path: string) => step(() => (find(path), change(path, null))),
    access: (path: string) => step(() => void find(path)),
    readFile: (path: string) => step(() => find(path).seen),
    readdir: (folder: string) =>
      step(() =>
        [...seen.keys()].filter((path) => dirname(path) === folder).map((path) => path.slice(folder.length + 1)),
      ),
  };

  return {
    files,
    /** The power goes after so many calls from now on. */
    cutAfter: (calls: number) => void (left = calls),
    /** Whether it has gone. */
    isOff: () => left <= 0,
    /** What the disk has when the power is back: some of the last changes of names, and content as far as it was synced. */
    powerOn(): void {
      pending.slice(0, choose(pending.length + 1)).forEach(settle);
      seen = new Map(
        [...disk].map(([path, inode]) => {
          // What was written and not synced may be there, or half of it, or nothing.
          const unsynced = [inode.seen, inode.seen.slice(0, inode.seen.length / 2), ""][choose(3)] ?? "";
          const text = inode.disk ?? unsynced;
          return [path, { seen: text, disk: text }];
        }),
      );
      disk = new Map(seen);
      pending = [];
      left = Number.POSITIVE_INFINITY;
    },
  };
}
