import { type Command, COMMAND_MAXIMUM_BYTES, COMMANDS, type SignedCommand } from "../../../lib/contracts/commands.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import type { RequestOf } from "../../../lib/contracts/operations.ts";
import { parseValue } from "../../../lib/contracts/parse.ts";
import { canonicalText } from "../../../lib/ledger/canonical.ts";

export type Asked = RequestOf<"fleet", "command-send">;

/**
 * Makes a command of what was asked and signs it. Done once: what is published later, however often, are these bytes.
 *
 * @param o.sign - with the fleet's command key, which signs nothing else.
 * @throws RastroError `schema` when the arguments do not fit the catalogue, `too_large`.
 */
export function issueCommand(o: {
  asked: Asked;
  issuer: Command["issuer"];
  now: number;
  sign: (bytes: Uint8Array) => string;
}): { signed: SignedCommand; command: Command } {
  const { id, machine, name, validMs } = o.asked;
  const spec = COMMANDS[name];
  const command: Command = {
    v: 1,
    id,
    machine,
    name,
    args: parseValue(spec.args, o.asked.args, `the arguments of ${name}`),
    issuedAt: new Date(o.now).toISOString(),
    notAfter: new Date(o.now + validMs).toISOString(),
    timeoutMs: o.asked.timeoutMs ?? spec.timeoutMs,
    issuer: o.issuer,
    approvals: [],
  };
  const body = canonicalText(command);
  const bytes = Buffer.from(body);
  if (bytes.length > COMMAND_MAXIMUM_BYTES) throw tooLarge(name, bytes.length);
  return { signed: { body, sig: o.sign(bytes) }, command };
}

/** Whether two commands ask for the same, for the same machine by the same person; only their times may differ. */
export function isSameCommand(one: Command, other: Command): boolean {
  const validMs = ({ issuedAt, notAfter }: Command) => Date.parse(notAfter) - Date.parse(issuedAt);
  const asked = (command: Command) => {
    const { id, machine, name, args, timeoutMs, issuer } = command;
    return canonicalText({ id, machine, name, args, timeoutMs, sub: issuer.sub, validMs: validMs(command) });
  };
  return asked(one) === asked(other);
}

function tooLarge(name: string, bytes: number): RastroError {
  return new RastroError({
    code: "too_large",
    message: `Issuing ${name} failed: it has ${bytes} bytes; expected: at most ${COMMAND_MAXIMUM_BYTES}. Shorten its arguments.`,
    field: "args",
  });
}
