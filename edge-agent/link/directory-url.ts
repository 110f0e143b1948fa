import type { Settings } from "../../lib/runtime/settings.ts";

/**
 * Where the directory answers: beside a hub that runs from the same data folder it is known from the hub's run file;
 * else the console of the hub's host hands the question on.
 *
 * @param runUrl - url in the broker's run file; null when there is none.
 */
export function directoryUrl(
  { brokerUrl, httpPort }: Pick<Settings, "brokerUrl" | "httpPort">,
  runUrl: string | null,
): string {
  return runUrl ?? `http://${new URL(brokerUrl).hostname}:${httpPort}`;
}
