import { timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { FORWARDED_BY } from "../lib/runtime/secret-file.ts";

/**
 * The address that the console says it forwards for. Only the console is believed, by the secret that it shares with the
 * hub in a file: else any local program could name a new address for each of its guesses.
 *
 * @param header - reads a header of the request.
 * @param secret - null where no console is believed.
 * @returns null when nobody who is believed named one.
 */
export function forwardedAddress(header: (name: string) => string | undefined, secret: string | null): string | null {
  if (secret === null || !isSame(header(FORWARDED_BY) ?? "", secret)) return null;
  const last = header("x-forwarded-for")?.split(",").at(-1)?.trim() ?? "";
  return isIP(last) === 0 ? null : last;
}

function isSame(given: string, secret: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(secret)];
  return one.length === other.length && timingSafeEqual(one, other);
}
