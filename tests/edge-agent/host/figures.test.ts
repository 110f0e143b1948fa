import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { createCpuMeter, parseProcStat, portableCpuTimes } from "../../../edge-agent/host/cpu.ts";
import { diskOf, parseMounts } from "../../../edge-agent/host/disks.ts";
import { parseMeminfo, portableMemory, shareOf } from "../../../edge-agent/host/memory.ts";
import { createTrafficMeter, parseNetDev } from "../../../edge-agent/host/network.ts";
import { openProcFile } from "../../../edge-agent/host/proc-file.ts";
import { openHostSources } from "../../../edge-agent/host/open-sources.ts";
import { sysTemperature } from "../../../edge-agent/host/temperature.ts";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});
async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "rastro-host-"));
  folders.push(made);
  return made;
}

describe("processor", () => {
  test("/proc/stat: waiting for a disk is idle, guests are not counted twice", () => {
    const text = "cpu  100 1 20 1000 30 2 3 4 50 6\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
    expect(parseProcStat(text)).toEqual({ idle: 1030, total: 1160 });
    expect(parseProcStat("cpu  1 2\n")).toBeNull();
    expect(parseProcStat("")).toBeNull();
  });

  test("the share is over the window, and unknown until there is a second sample", () => {
    const samples = [
      { idle: 0, total: 0 },
      { idle: 50, total: 100 },
      { idle: 50, total: 200 },
      { idle: 50, total: 300 },
    ];
    const meter = createCpuMeter(() => samples.shift() ?? null, 2);
    expect([meter(), meter(), meter(), meter(), meter()]).toEqual([null, 500, 750, 1000, null]);
  });

  test("a counter that stands still or runs backwards gives no figure outside the range", () => {
    const samples = [
      { idle: 10, total: 100 },
      { idle: 10, total: 100 },
      { idle: 200, total: 150 },
    ];
    const meter = createCpuMeter(() => samples.shift() ?? null, 10);
    expect([meter(), meter(), meter()]).toEqual([null, null, 0]);
  });
});

describe("memory", () => {
  test("/proc/meminfo: used is what is not available", () => {
    expect(parseMeminfo("MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:  400 kB\n")).toEqual({
      totalBytes: 1_024_000,
      usedBytes: 614_400,
    });
    expect(parseMeminfo("MemTotal: 1000 kB\n")).toBeNull();
  });

  test("shares are tenths of a percent", () => {
    expect(shareOf({ totalBytes: 3, usedBytes: 1 })).toBe(333);
    expect(shareOf({ totalBytes: 0, usedBytes: 0 })).toBeNull();
  });
});

describe("disks", () => {
  test("each device once, under its shortest path, without what is no disk", () => {
    const text = [
      "/dev/sda1 /mnt/data/docker ext4 rw 0 0",
      "/dev/sda1 /mnt/my\\040data ext4 rw 0 0",
      "/dev/loop0 /snap/core squashfs ro 0 0",
      "proc /proc proc rw 0 0",
      "/dev/sdb1 / ext4 rw 0 0",
      "",
    ].join("\n");
    expect(parseMounts(text)).toEqual(["/", "/mnt/my data"]);
  });

  test("the disk of a folder has a size; a folder that is not there has none", async () => {
    const disk = await diskOf(await folder());
    expect(disk?.totalBytes).toBeGreaterThan(disk?.usedBytes ?? Number.MAX_VALUE);
    expect(await diskOf("/does/not/exist")).toBeNull();
  });
});

describe("network", () => {
  test("/proc/net/dev without the loopback", () => {
    const text = [
      "Inter-|   Receive                            |  Transmit",
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes packets",
      "    lo:  10 1 0 0 0 0 0 0 20 2 0 0 0 0 0 0",
      "  eth0: 1000 1 0 0 0 0 0 0 2000 2 0 0 0 0 0 0",
    ].join("\n");
    expect(parseNetDev(text)).toEqual([{ name: "eth0", rxBytes: 1000, txBytes: 2000 }]);
  });

  test("rates are unknown for what is new or was reset", () => {
    const rates = createTrafficMeter();
    const row = (rxBytes: number, txBytes: number) => [{ name: "eth0", rxBytes, txBytes }];
    expect(rates(row(100, 100), 1000)).toEqual([{ name: "eth0", rxBytesPerS: null, txBytesPerS: null }]);
    expect(rates(row(200, 50), 1500)).toEqual([{ name: "eth0", rxBytesPerS: 200, txBytesPerS: null }]);
  });
});

describe("temperature", () => {
  test("the hottest zone counts; one that says nothing does not", async () => {
    const zones = await folder();
    for (const [name, text] of [
      ["thermal_zone0", "41500\n"],
      ["thermal_zone1", "52340\n"],
      ["thermal_zone2", "0\n"],
    ] as const) {
      await mkdir(join(zones, name));
      await writeFile(join(zones, name, "temp"), text);
    }
    await mkdir(join(zones, "thermal_zone3"));
    expect(await sysTemperature(zones)).toBe(523);
  });

  test("without any zone it is unknown", async () => {
    expect(await sysTemperature(await folder())).toBeNull();
    expect(await sysTemperature("/does/not/exist")).toBeNull();
  });
});

describe("a file that is read again and again", () => {
  test("shows its present beginning, up to what is wanted", async () => {
    const path = join(await folder(), "file");
    await writeFile(path, "first");
    const file = openProcFile(path, 6);
    expect(file.read()).toBe("first");
    await writeFile(path, "second one");
    expect(file.read()).toBe("second");
    file.close();
    expect(file.read()).toBeNull();
  });

  test("is null where there is none", () => {
    expect(openProcFile("/does/not/exist", 10).read()).toBeNull();
  });
});

describe("this host", () => {
  test("tells its real figures", async () => {
    const sources = await openHostSources();
    const memory = sources.memory();
    expect(sources.cpuTimes()?.total).toBeGreaterThan(0);
    expect(memory?.totalBytes).toBeGreaterThan(memory?.usedBytes ?? Number.MAX_VALUE);
    expect((await sources.system()).length).toBeGreaterThan(0);
    expect(Array.isArray(await sources.disks())).toBe(true);
    sources.close();
  });

  test("tells about the same by the portable way", async () => {
    const sources = await openHostSources();
    const bySources = sources.memory()?.totalBytes ?? 0;
    sources.close();
    expect(portableCpuTimes()?.total).toBeGreaterThan(0);
    expect(portableMemory()?.totalBytes).toBeGreaterThan(bySources * 0.99);
    expect(portableMemory()?.totalBytes).toBeLessThan(bySources * 1.01);
  });
});
