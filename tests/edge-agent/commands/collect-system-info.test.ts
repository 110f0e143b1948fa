import { describe, expect, it } from "vitest";
import { collectSystemInfo, type Information, withoutLogin } from "../../../edge-agent/commands/collect-system-info.ts";
import { SystemInfo } from "../../../lib/contracts/commands.ts";

const GIB = 1_073_741_824;

/** What systeminformation says, with everything that must not get out. */
function information(change: Partial<Record<keyof Information, unknown>> = {}): Information {
  const said: Record<keyof Information, unknown> = {
    system: {
      manufacturer: "Advantech",
      model: "ARK-1",
      version: "-",
      serial: "SECRET-1",
      uuid: "SECRET-2",
      virtual: false,
    },
    osInfo: {
      platform: "linux",
      distro: "Debian",
      release: "12",
      kernel: "6",
      arch: "x64",
      hostname: "SECRET-3",
      fqdn: "SECRET-3.example",
      serial: "SECRET-4",
    },
    cpu: { manufacturer: "Intel", brand: "N100", cores: 4, physicalCores: 4, speed: 3.4, flags: "fpu" },
    mem: { total: 8 * GIB, available: 4 * GIB, swaptotal: 0, swapused: 0 },
    fsSize: [{ fs: "SECRET-5:/export", mount: "/media/SECRET-6/stick", type: "vfat", size: GIB, used: GIB / 2 }],
    networkInterfaces: [
      { iface: "lo", internal: true, ip4: "127.0.0.1", mac: "00:00:00:00:00:00", operstate: "unknown" },
      {
        iface: "eth0",
        internal: false,
        ip4: "10.0.0.7",
        ip6: "fe80::SECRET-7",
        mac: "SECRET-8",
        type: "wired",
        operstate: "up",
        speed: 1000,
      },
    ],
    ...change,
  };
  const answer = (name: keyof Information) => async () => {
    if (said[name] instanceof Error) throw said[name];
    return said[name];
  };
  return Object.fromEntries((Object.keys(said) as (keyof Information)[]).map((name) => [name, answer(name)])) as never;
}

describe("what is kept of systeminformation", () => {
  it("is what the contract names, and nothing that singles a device or its user out", async () => {
    const info = await collectSystemInfo(information(), () => undefined);
    expect(SystemInfo.parse(info)).toEqual({
      system: { manufacturer: "Advantech", model: "ARK-1", version: null, virtual: false },
      os: { platform: "linux", distro: "Debian", release: "12", kernel: "6", arch: "x64" },
      cpu: { manufacturer: "Intel", brand: "N100", cores: 4, physicalCores: 4, speedMHz: 3400 },
      memory: { totalMiB: 8192, availableMiB: 4096, swapTotalMiB: 0, swapUsedMiB: 0 },
      disks: [{ mount: "/media/…/stick", type: "vfat", totalMiB: 1024, usedMiB: 512 }],
      network: [{ name: "eth0", type: "wired", up: true, ip4: "10.0.0.7", speedMbit: 1000 }],
    });
    expect(JSON.stringify(info)).not.toContain("SECRET");
  });

  it("is null for a part that fails, and the rest all the same", async () => {
    const info = await collectSystemInfo(information({ osInfo: new Error("no lsb_release") }), () => undefined);
    expect(info.os).toBeNull();
    expect(info.network).not.toBeNull();
  });

  it("stays within its bounds, however much the host has", async () => {
    const mounts = Array.from({ length: 500 }, (_, row) => ({
      mount: `/${"x".repeat(300)}${row}`,
      type: "",
      size: 1,
      used: 0,
    }));
    const info = await collectSystemInfo(information({ fsSize: mounts }), () => undefined);
    expect(info.disks).toHaveLength(32);
    expect(SystemInfo.safeParse(info).success).toBe(true);
  });
});

describe("a login in a mount point", () => {
  it.each([
    ["/media/maria/USB", "/media/…/USB"],
    ["/run/media/maria/USB", "/run/media/…/USB"],
    ["/home/maria", "/home/…"],
    ["/Users/maria/disk", "/Users/…/disk"],
    ["C:\\Users\\maria", "C:\\Users\\…"],
    ["/", "/"],
    ["/var/home", "/var/home"],
    ["C:", "C:"],
  ])("%s is shown as %s", (mount, shown) => expect(withoutLogin(mount)).toBe(shown));
});
