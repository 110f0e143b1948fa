import type { Problem } from "../lib/contracts/errors.ts";
import type { ResponseEnvelope } from "../lib/contracts/envelopes.ts";
import { parseRequest, topics } from "../lib/contracts/topics.ts";

/** A message that the hub itself publishes. */
export type OwnMessage = { topic: string; payload: string };

/**
 * The answer to a refused publish when it was a request under the sender's own name: whoever asked waits on the
 * response topic and would otherwise run into the time-out. Null for every other topic.
 */
export function refusedRequest(user: string, topic: string): OwnMessage | null {
  const request = parseRequest(topic);
  if (request === null || request.user !== user) return null;
  const error: Problem = {
    code: "not_allowed",
    message: `Asking ${request.service} for ${request.operation} failed: the profile of ${user} may not send requests.`,
  };
  const envelope: ResponseEnvelope = { v: 1, status: "error", error };
  return { topic: topics.response(user, request.session, request.request), payload: JSON.stringify(envelope) };
}
