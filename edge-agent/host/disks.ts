import { readFile, statfs } from "node:fs/promises";

export type Disk = { mount: string; totalBytes: number; usedBytes: number };

/** The file system that holds `path`. Used is what others cannot have: reserved blocks count as used. */
export async function diskOf(path: string, mount = path): Promise<Disk | null> {
  try {
    const { bsize, blocks, bavail } = await statfs(path);
    return blocks > 0 ? { mount, totalBytes: blocks * bsize, usedBytes: (blocks - bavail) * bsize } : null;
  } catch {
    return null;
  }
}

/** Mount points of disks in `/proc/self/mounts`, each device once under its shortest path. */
export function parseMounts(text: string): string[] {
  const mounts = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [device = "", escaped = "", type = ""] = line.split(" ");
    if (!device.startsWith("/dev/") || type === "squashfs" || type === "iso9660") continue;
    const mount = escaped.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)));
    const known = mounts.get(device);
    if (known === undefined || mount.length < known.length) mounts.set(device, mount);
  }
  return [...mounts.values()].sort();
}

/** Every disk of a host with `/proc`. */
export async function procDisks(): Promise<Disk[]> {
  const mounts = parseMounts(await readFile("/proc/self/mounts", "utf8"));
  const disks = await Promise.all(mounts.map((mount) => diskOf(mount)));
  return disks.filter((disk) => disk !== null);
}
