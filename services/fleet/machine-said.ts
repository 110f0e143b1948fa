import { Presence, Summary } from "../../lib/contracts/machine.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import { parseMachine } from "../../lib/contracts/topics.ts";

/** What a message of a machine says; null where its retained message was cleared. */
export type MachineSaid =
  | { machine: string; kind: "presence"; presence: Presence | null }
  | { machine: string; kind: "summary"; summary: Summary | null };

/**
 * Reads a presence or a summary; null for another topic.
 *
 * @throws RastroError `malformed` or `schema`.
 */
export function readMachineSaid(topic: string, payload: Uint8Array): MachineSaid | null {
  const parsed = parseMachine(topic);
  if (parsed === null) return null;
  const { machine, leaf } = parsed;
  const cleared = payload.length === 0;
  if (leaf === "presence") {
    return {
      machine,
      kind: "presence",
      presence: cleared ? null : parseJson(Presence, payload, `the presence of ${machine}`),
    };
  }
  if (leaf !== "summary") return null;
  return {
    machine,
    kind: "summary",
    summary: cleared ? null : parseJson(Summary, payload, `the summary of ${machine}`),
  };
}
