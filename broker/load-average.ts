const MINUTE_MS = 60_000;

/**
 * A rate per minute as Mosquitto averages it (`src/sys_tree.c`): each reading moves the average towards the rate since
 * the one before, by a share that grows with the time between them.
 *
 * @param minutes - the time over which it is averaged.
 */
export function createLoadAverage(minutes: number): (added: number, elapsedMs: number) => number {
  let load = 0;
  return (added, elapsedMs) => {
    if (elapsedMs <= 0) return load;
    const perMinute = (added / elapsedMs) * MINUTE_MS;
    load = perMinute + Math.exp(-elapsedMs / (minutes * MINUTE_MS)) * (load - perMinute);
    return load;
  };
}
