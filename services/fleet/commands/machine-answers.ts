import {
  CommandAck,
  type CommandName,
  CommandProgress,
  CommandResult,
  COMMANDS,
  RESULT_MAXIMUM_BYTES,
} from "../../../lib/contracts/commands.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import { parseJson, parseValue } from "../../../lib/contracts/parse.ts";
import { parseCommandAnswer } from "../../../lib/contracts/topics.ts";
import type { Progress } from "./command-record.ts";
import type { CommandStore } from "./command-store.ts";
import type { Happening } from "./command-state.ts";

/** Room for the frame around a result's data. */
const ANSWER_MAXIMUM_BYTES = RESULT_MAXIMUM_BYTES + 2048;

type Said = { id: string; happening: Happening; progress: Progress | null };

/**
 * Takes in what a machine says of a command. Only the machine that a command is addressed to is heard, which the
 * broker vouches for in the topic.
 *
 * @returns the id of the command.
 * @throws RastroError `malformed`, `schema`, `too_large`; `unknown_command` for an id that is not this machine's.
 */
export async function takeAnswer(
  o: { commands: Pick<CommandStore, "find" | "advance">; onProgress: (id: string, progress: Progress) => void },
  topic: string,
  payload: Uint8Array,
): Promise<string> {
  const at = parseCommandAnswer(topic);
  if (at === null) throw refused("unknown_command", topic, "its topic is none of a command");
  if (payload.length > ANSWER_MAXIMUM_BYTES) throw refused("too_large", topic, `it has ${payload.length} bytes`);
  const said = read(at.kind, payload, topic);
  const record = o.commands.find(said.id);
  // What was never signed no machine can have.
  const command = record?.signed ? record.command : undefined;
  if (command === undefined || command.machine !== at.machine || command.name !== at.name) {
    throw refused("unknown_command", topic, `no command ${said.id} of this name was issued for this machine`);
  }
  if (said.happening.kind === "result") checkData(said.happening.result, at.name as CommandName);
  if (said.progress !== null) o.onProgress(said.id, said.progress);
  await o.commands.advance(said.id, said.happening);
  return said.id;
}

function read(kind: "ack" | "progress" | "result", payload: Uint8Array, topic: string): Said {
  const what = `the message on ${topic}`;
  if (kind === "ack") {
    return { id: parseJson(CommandAck, payload, what).id, happening: { kind: "ack" }, progress: null };
  }
  if (kind === "progress") {
    const { id, done, of } = parseJson(CommandProgress, payload, what);
    return { id, happening: { kind: "progress" }, progress: { done, of } };
  }
  const result = parseJson(CommandResult, payload, what);
  return { id: result.id, happening: { kind: "result", result }, progress: null };
}

/** What does not fit the catalogue is not shown to anybody as if it did. */
function checkData(result: CommandResult, name: CommandName): void {
  if (result.status === "succeeded") parseValue(COMMANDS[name].result, result.data, `the result of ${name}`);
}

function refused(code: "unknown_command" | "too_large", topic: string, why: string): RastroError {
  return new RastroError({ code, message: `Taking the message on ${topic} failed: ${why}.`, given: topic });
}
