import { LOCAL_ADMIN, SERVICE_NAMES } from "../../lib/contracts/directory.ts";
import { type AclUser, mosquittoAcl, mosquittoAclByProfile } from "../acl/mosquitto-acl.ts";
import type { Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import { usageError } from "../client/usage.ts";

export type AclOptions = { format: string; principals?: true };

/** Prints the file; with `--json` the users go beside its text. */
export async function runAcl(terminal: Terminal, { format, principals }: AclOptions): Promise<Outcome> {
  if (format !== "mosquitto") throw usageError("--format", JSON.stringify(format), "mosquitto");
  if (!principals) return outcomeOf(format, null, mosquittoAclByProfile());
  const users = await usersOf(terminal);
  return outcomeOf(format, users, mosquittoAcl(users));
}

/** Everybody who can sign in: neither those who left nor machines that never do. */
async function usersOf(terminal: Terminal): Promise<AclUser[]> {
  const { withHub } = await import("../client/session.ts");
  const { people, machines } = await withHub(terminal.env, async ({ directory, bearer }) => ({
    people: await directory.userList(bearer),
    machines: await directory.machineList(bearer),
  }));
  const services = SERVICE_NAMES.map((name): AclUser => ({ name, profile: "service" }));
  const others = [
    ...people.filter(({ active }) => active),
    ...machines.filter(({ active, credential }) => active && credential !== "none"),
  ];
  const users = others.map(({ name, profile }): AclUser => ({ name, profile }));
  return [...services, { name: LOCAL_ADMIN, profile: "administrator" }, ...users];
}

function outcomeOf(format: string, users: AclUser[] | null, text: string): Outcome {
  return { data: { format, users, acl: text }, text: text.trimEnd() };
}
