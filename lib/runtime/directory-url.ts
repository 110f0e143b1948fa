import { reachable, type Settings } from "./settings.ts";
import { readRunFile } from "./run-files.ts";

/**
 * Where the directory answers a service on the hub's own host: in the hub's process, at a port that changes with each
 * of its starts. Without a hub here the console hands the question on.
 */
export function directoryUrlOf({ data, host, httpPort }: Pick<Settings, "data" | "host" | "httpPort">): string {
  return readRunFile(data, "broker")?.url ?? `http://${reachable(host)}:${httpPort}`;
}
