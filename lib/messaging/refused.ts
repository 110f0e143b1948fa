import type { ErrorCode, RastroError } from "../contracts/errors.ts";

/** A message that was not taken, with the name that the broker vouches for (it stands in the topic). */
export type Refused = { topic: string; from: string; code: ErrorCode; message: string };

/** What of a message that does not parse goes into the log: the first 200 bytes, control characters made visible. */
export function firstBytes(payload: Uint8Array): string {
  return JSON.stringify(Buffer.from(payload.subarray(0, 200)).toString("utf8")).slice(1, -1);
}

export function refusedOf(topic: string, from: string, error: RastroError): Refused {
  return { topic, from, code: error.code, message: error.message };
}
