import { v7 } from "uuid";
import type { Command, SignedCommand } from "../../lib/contracts/commands.ts";
import { canonicalText } from "../../lib/ledger/canonical.ts";
import { sign } from "../../lib/ledger/signature.ts";
import type { KeyPair } from "../../lib/runtime/keys.ts";

const MINUTE = 60_000;

/** A command as the fleet would issue it now, valid for a minute. */
export function command(change: Partial<Command> = {}, now = Date.now()): Command {
  return {
    v: 1,
    id: v7(),
    machine: "ipc-07",
    name: "ping",
    args: {},
    issuedAt: new Date(now).toISOString(),
    notAfter: new Date(now + MINUTE).toISOString(),
    timeoutMs: 5000,
    issuer: { sub: "local-admin", auth: "local", profile: "administrator" },
    approvals: [],
    ...change,
  };
}

export function signedBy(key: KeyPair, made: Command): SignedCommand {
  const body = canonicalText(made);
  return { body, sig: sign(key.privateKey, Buffer.from(body)) };
}
