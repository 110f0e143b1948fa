import type { Systeminformation } from "systeminformation";
import type { SystemInfo } from "../../lib/contracts/commands.ts";

const ROWS = 32;
const TEXT = 128;
const MIB = 1_048_576;

/** As much of systeminformation as is asked. */
export interface Information {
  system(): Promise<Systeminformation.SystemData>;
  osInfo(): Promise<Systeminformation.OsData>;
  cpu(): Promise<Systeminformation.CpuData>;
  mem(): Promise<Systeminformation.MemData>;
  fsSize(): Promise<Systeminformation.FsSizeData[]>;
  networkInterfaces(): Promise<Systeminformation.NetworkInterfacesData[] | Systeminformation.NetworkInterfacesData>;
}

/**
 * Asks one part after the other and keeps what the contract names; a part that fails is null. What it leaves out and
 * why stands at the contract's `SystemInfo`.
 */
export async function collectSystemInfo(
  information: Information,
  onProgress: (done: number, of: number) => void,
): Promise<SystemInfo> {
  let done = 0;
  const part = async <T>(ask: () => Promise<T>): Promise<T | null> => {
    const value = await ask().catch(() => null);
    onProgress(++done, 6);
    return value;
  };
  return {
    system: await part(async () => systemOf(await information.system())),
    os: await part(async () => osOf(await information.osInfo())),
    cpu: await part(async () => cpuOf(await information.cpu())),
    memory: await part(async () => memoryOf(await information.mem())),
    disks: await part(async () => (await information.fsSize()).slice(0, ROWS).map(diskOf)),
    network: await part(async () => networkOf(await information.networkInterfaces())),
  };
}

function systemOf(data: Systeminformation.SystemData): SystemInfo["system"] {
  const { manufacturer, model, version, virtual } = data;
  return {
    manufacturer: known(manufacturer),
    model: known(model),
    version: known(version),
    virtual: typeof virtual === "boolean" ? virtual : null,
  };
}

function osOf({ platform, distro, release, kernel, arch }: Systeminformation.OsData): SystemInfo["os"] {
  return {
    platform: known(platform),
    distro: known(distro),
    release: known(release),
    kernel: known(kernel),
    arch: known(arch),
  };
}

function cpuOf(data: Systeminformation.CpuData): SystemInfo["cpu"] {
  const { manufacturer, brand, cores, physicalCores, speed } = data;
  return {
    manufacturer: known(manufacturer),
    brand: known(brand),
    cores: positive(cores),
    physicalCores: positive(physicalCores),
    speedMHz: positive(speed * 1000),
  };
}

function memoryOf({ total, available, swaptotal, swapused }: Systeminformation.MemData): SystemInfo["memory"] {
  return {
    totalMiB: mebibytes(total),
    availableMiB: mebibytes(available),
    swapTotalMiB: mebibytes(swaptotal),
    swapUsedMiB: mebibytes(swapused),
  };
}

function diskOf({ mount, type, size, used }: Systeminformation.FsSizeData) {
  return {
    mount: withoutLogin(mount).slice(0, TEXT),
    type: known(type),
    totalMiB: mebibytes(size),
    usedMiB: mebibytes(used),
  };
}

function networkOf(
  data: Systeminformation.NetworkInterfacesData[] | Systeminformation.NetworkInterfacesData,
): SystemInfo["network"] {
  const rows = Array.isArray(data) ? data : [data];
  return rows
    .filter(({ internal }) => !internal)
    .slice(0, ROWS)
    .map((row) => ({
      name: row.iface.slice(0, TEXT),
      type: known(row.type),
      up: row.operstate === "unknown" ? null : row.operstate === "up",
      ip4: known(row.ip4),
      speedMbit: positive(row.speed ?? 0),
    }));
}

/** A mount point of removable media or of a home carries the login of whoever sits there. */
export function withoutLogin(mount: string): string {
  return mount.replace(/^((?:\/run)?\/media|\/home|\/Users|[A-Za-z]:\\Users)([/\\])[^/\\]+/, "$1$2…");
}

/** systeminformation says "", "-" or "unknown" where it does not know. */
function known(text: string | undefined): string | null {
  const value = text?.trim() ?? "";
  return value === "" || value === "-" || value.toLowerCase() === "unknown" ? null : value.slice(0, TEXT);
}

function positive(value: number): number | null {
  const whole = Math.round(value);
  return Number.isSafeInteger(whole) && whole > 0 ? whole : null;
}

function mebibytes(bytes: number): number {
  return Math.max(0, Math.round(bytes / MIB));
}
