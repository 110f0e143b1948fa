import { SignedEvent } from "../../lib/contracts/events.ts";
import { parseJson } from "../../lib/contracts/parse.ts";

/** What an outbox gives for sending, read as its receiver reads it. */
export function signedOf(entry: { text: string }): SignedEvent {
  return parseJson(SignedEvent, entry.text, "what the outbox gives");
}
