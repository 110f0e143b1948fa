import { WITNESS_REQUEST_MAXIMUM } from "../contracts/witness.ts";

/** The text of a request or checkpoint that arrived; null for what is too long to be one, or no UTF-8. */
export function requestText(bytes: Uint8Array): string | null {
  if (bytes.length > WITNESS_REQUEST_MAXIMUM) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
