import {
  type Approval,
  type Command,
  COMMAND_MAXIMUM_BYTES,
  type CommandName,
  COMMANDS,
  type Issuer,
  type SignedCommand,
} from "../../../lib/contracts/commands.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import type { RequestOf } from "../../../lib/contracts/operations.ts";
import { parseValue } from "../../../lib/contracts/parse.ts";
import { canonicalText } from "../../../lib/ledger/canonical.ts";
import type { NewCommand } from "./command-record.ts";

export type Asked = RequestOf<"fleet", "command-send">;

/** A command and what is published of it, for as long as it is open: these bytes. */
export type IssuedCommand = { signed: SignedCommand; command: Command };

/** How many other persons have to agree to a command. */
export type ApprovalsOf = (name: CommandName) => number;
export const byCatalogue: ApprovalsOf = (name) => COMMANDS[name].approvals;

export type Issuing = {
  /** Whether another person has to agree to it. */
  needsApproval(name: CommandName): boolean;
  /**
   * Makes a command of what was asked. It is signed at once, unless the catalogue asks for more approvals than there are:
   * then it is left unsigned, with the time until which it may be approved as its notAfter.
   *
   * @throws RastroError `schema` when the arguments do not fit the catalogue, `too_large`.
   */
  make(asked: Asked, issuer: Issuer, of?: { approvals: Approval[]; rollout: string }): NewCommand;
  /**
   * Signs a command to which another person has agreed. Its time begins with that: it may wait for its machine from then
   * on, for as long as was asked.
   *
   * @throws RastroError `too_large`.
   */
  approve(waiting: NewCommand, by: Issuer): IssuedCommand;
};

/**
 * Makes and signs commands. Each is signed once: what is published later, however often, are these bytes.
 *
 * @param o.sign - with the fleet's command key, which signs nothing else.
 */
export function createIssuing(o: {
  sign: (bytes: Uint8Array) => string;
  now: () => number;
  approvalsOf: ApprovalsOf;
}): Issuing {
  const signed = (command: Command): IssuedCommand => {
    const body = bodyOf(command);
    return { signed: { body, sig: o.sign(Buffer.from(body)) }, command };
  };

  return {
    needsApproval: (name) => o.approvalsOf(name) > 0,
    make(asked, issuer, of) {
      const { validMs, approvalMs } = asked;
      const approvals = of?.approvals ?? [];
      const isComplete = approvals.length >= o.approvalsOf(asked.name);
      const waitMs = isComplete ? validMs : approvalMs;
      const command = commandOf({ asked, issuer, approvals, now: o.now(), waitMs });
      bodyOf(command);
      const issued = isComplete ? signed(command) : { signed: null, command };
      return { ...issued, waits: { validMs, approvalMs }, rollout: of?.rollout ?? null };
    },
    approve({ command, waits }, by) {
      const now = o.now();
      const at = new Date(now).toISOString();
      const notAfter = new Date(now + waits.validMs).toISOString();
      return signed({ ...command, issuedAt: at, notAfter, approvals: [...command.approvals, { by, at }] });
    },
  };
}

function commandOf(o: { asked: Asked; issuer: Issuer; approvals: Approval[]; now: number; waitMs: number }): Command {
  const { id, machine, name, args, timeoutMs } = o.asked;
  const spec = COMMANDS[name];
  return {
    v: 1,
    id,
    machine,
    name,
    args: parseValue(spec.args, args, `the arguments of ${name}`),
    issuedAt: new Date(o.now).toISOString(),
    notAfter: new Date(o.now + o.waitMs).toISOString(),
    timeoutMs: timeoutMs ?? spec.timeoutMs,
    issuer: o.issuer,
    approvals: o.approvals,
  };
}

/** Whether two commands ask for the same, for the same machine by the same person; only their times may differ. */
export function isSameCommand(one: NewCommand, other: NewCommand): boolean {
  const asked = ({ command, waits }: NewCommand) => {
    const { id, machine, name, args, timeoutMs, issuer } = command;
    return canonicalText({ id, machine, name, args, timeoutMs, sub: issuer.sub, ...waits });
  };
  return asked(one) === asked(other);
}

function bodyOf(command: Command): string {
  const body = canonicalText(command);
  const bytes = Buffer.byteLength(body);
  if (bytes <= COMMAND_MAXIMUM_BYTES) return body;
  throw new RastroError({
    code: "too_large",
    message: `Issuing ${command.name} failed: it has ${bytes} bytes; expected: at most ${COMMAND_MAXIMUM_BYTES}. Shorten its arguments.`,
    field: "args",
  });
}
