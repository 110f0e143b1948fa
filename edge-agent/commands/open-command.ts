import type { KeyObject } from "node:crypto";
import { Command, SignedCommand } from "../../lib/contracts/commands.ts";
import { type ErrorCode, RastroError } from "../../lib/contracts/errors.ts";
import { Uuid7 } from "../../lib/contracts/names.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import { parseCommand } from "../../lib/contracts/topics.ts";
import { verifySignatureAside } from "../../lib/ledger/signature.ts";

/** Escapes may double a body of the longest kind; the signature and the frame take less than a kilobyte. */
const PAYLOAD_MAXIMUM_BYTES = 40_000;

/** A command whose bytes are the fleet's and meant for this machine. `body` is what was signed. */
export type Opened = { command: Command; body: string };

/**
 * Opens what arrived on a command topic: envelope, signature, content, address, in this order, so that nothing of a
 * command is believed before its signature is. The signature is checked on another thread.
 *
 * @param o.key - the pinned key of the fleet; null when there is none.
 * @throws RastroError `too_large`, `malformed`, `schema`, `no_command_key`, `bad_signature`, `wrong_machine`.
 */
export async function openCommand(
  o: { machine: string; key: KeyObject | null },
  topic: string,
  payload: Buffer,
): Promise<Opened> {
  if (payload.length > PAYLOAD_MAXIMUM_BYTES) throw refusal("too_large", `it has ${payload.length} bytes`);
  const { body, sig } = parseJson(SignedCommand, payload, "the command");
  if (o.key === null) throw refusal("no_command_key", "this machine has no key of the fleet pinned");
  if (!(await verifySignatureAside(o.key, Buffer.from(body), sig))) {
    throw refusal("bad_signature", "its signature is not that of the pinned key of the fleet");
  }
  const command = parseJson(Command, body, "the command");
  const at = parseCommand(topic);
  if (command.machine !== o.machine || at?.machine !== o.machine || at.name !== command.name) {
    throw refusal("wrong_machine", `it is ${command.name} for ${command.machine} and came on ${topic}`);
  }
  return { command, body };
}

/** The id that a payload claims, for an answer; null where there is none to read. Nothing else of it is used. */
export function claimedId(payload: Buffer): string | null {
  try {
    const { body } = SignedCommand.parse(JSON.parse(payload.toString("utf8")));
    return Uuid7.parse((JSON.parse(body) as { id?: unknown }).id);
  } catch {
    return null;
  }
}

function refusal(code: ErrorCode, why: string): RastroError {
  return new RastroError({ code, message: `Taking the command failed: ${why}.` });
}
