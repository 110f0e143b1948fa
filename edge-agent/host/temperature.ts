import { readdir, readFile } from "node:fs/promises";

const ZONES = "/sys/class/thermal";

/** The hottest thermal zone in tenths of a degree Celsius (kernel: `thermal/sysfs-api`, millidegrees); null without any. */
export async function sysTemperature(folder = ZONES): Promise<number | null> {
  const zones = await readdir(folder).catch((): string[] => []);
  const readings = await Promise.all(
    zones
      .filter((zone) => zone.startsWith("thermal_zone"))
      .map((zone) => readFile(`${folder}/${zone}/temp`, "utf8").then(Number, () => Number.NaN)),
  );
  const known = readings.filter((reading) => Number.isFinite(reading) && reading !== 0);
  return known.length > 0 ? Math.round(Math.max(...known) / 100) : null;
}
