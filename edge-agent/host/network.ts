import type { ProcFile } from "./proc-file.ts";

/** Bytes since boot. */
export type Traffic = { name: string; rxBytes: number; txBytes: number };
export type TrafficRate = { name: string; rxBytesPerS: number | null; txBytesPerS: number | null };

/** `/proc/net/dev` (proc_pid_net(5)), without the loopback. */
export function parseNetDev(text: string): Traffic[] {
  const rows: Traffic[] = [];
  for (const line of text.split("\n")) {
    const [, name, figures] = /^ *([^:]+):(.*)$/.exec(line) ?? [];
    if (name === undefined || figures === undefined || name === "lo") continue;
    const columns = figures.trim().split(/ +/).map(Number);
    rows.push({ name, rxBytes: columns[0] ?? 0, txBytes: columns[8] ?? 0 });
  }
  return rows;
}

export function procTraffic(file: ProcFile): () => Promise<Traffic[]> {
  return async () => parseNetDev(file.read() ?? "");
}

/** Bytes a second between two calls; null for an interface that was not there before or whose counter started anew. */
export function createTrafficMeter(): (rows: Traffic[], now: number) => TrafficRate[] {
  let before = new Map<string, Traffic>();
  let since = 0;
  return (rows, now) => {
    const seconds = (now - since) / 1000;
    const perSecond = (newer: number, older: number | undefined) =>
      older === undefined || newer < older || seconds <= 0 ? null : Math.round((newer - older) / seconds);
    const rates = rows.map((row) => ({
      name: row.name,
      rxBytesPerS: perSecond(row.rxBytes, before.get(row.name)?.rxBytes),
      txBytesPerS: perSecond(row.txBytes, before.get(row.name)?.txBytes),
    }));
    before = new Map(rows.map((row) => [row.name, row]));
    since = now;
    return rates;
  };
}
