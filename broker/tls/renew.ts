import type { Logger } from "../../lib/runtime/log.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import type { Hub } from "../hub.ts";
import { openTlsIdentity } from "./open-identity.ts";

const EVERY_MS = 12 * 3_600_000;

/**
 * Looks twice a day whether the hub's certificate ends soon or lacks a name that the host has got, and has the hub show
 * the new one.
 *
 * @returns stops it.
 */
export function renewRegularly(o: {
  hub: Pick<Hub, "renewCertificate">;
  folders: Folders;
  plant: string;
  names: readonly string[];
  log: Logger;
}): () => void {
  const renew = () =>
    openTlsIdentity({ ...o, now: Date.now }).then(
      ({ identity }) => o.hub.renewCertificate(identity),
      (error: unknown) => o.log.error({ err: error }, "the hub's certificate was not renewed"),
    );
  const timer = setInterval(() => void renew(), EVERY_MS);
  return () => clearInterval(timer);
}
