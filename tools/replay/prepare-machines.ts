import { RastroError } from "../../lib/contracts/errors.ts";
import type { ResponseOf } from "../../lib/contracts/operations.ts";
import type { SignedInHub } from "../client/session.ts";

/** What had to be done so that entries of these machines are taken. */
export type Prepared = { registered: string[]; spokenFor: string[] };
type Lacking = ResponseOf<"production", "report-check">;

const TOLD_WITHIN_MS = 10_000;
const ASK_EVERY_MS = 100;
const NAMED = 5;

/**
 * Sees to it that an agent may report for machines: registers those that nobody knows, as machines that never sign in, and
 * adds what lacks to those for which the agent speaks. Resolves once the production service itself knows of it: an
 * entry that came to it earlier would be refused, for good.
 *
 * @throws RastroError `not_allowed` when something is lacking and whoever is signed in is no administrator;
 *   `unknown_name`, `name_taken`; `timeout`.
 */
export async function prepareMachines(o: {
  hub: Pick<SignedInHub, "call" | "directory" | "bearer" | "session">;
  agent: string;
  machines: readonly string[];
  now: () => number;
  wait: (ms: number) => Promise<void>;
}): Promise<Prepared> {
  const check = () => o.hub.call("production", "report-check", { reporter: o.agent, machines: [...o.machines] });
  const lacking = await check();
  if (isNothing(lacking)) return { registered: [], spokenFor: [] };
  requireAdministrator(o, lacking);

  const { directory, bearer } = o.hub;
  const known = new Map((await directory.machineList(bearer)).map((machine) => [machine.name, machine]));
  const agent = known.get(o.agent);
  if (agent === undefined) throw noAgent(o.agent);
  const missing = lacking.unknown.filter((machine) => !known.has(machine));
  for (const id of missing) await directory.machineAdd(bearer, { id, signsIn: false });
  const before = new Set(agent.speaksFor);
  const added = o.machines.filter((machine) => machine !== o.agent && !before.has(machine));
  if (added.length > 0) await directory.speaksFor(bearer, o.agent, { speaksFor: [...before, ...added] });

  await untilTold(o, check);
  return { registered: missing, spokenFor: added };
}

function isNothing({ unknown, notSpokenFor }: Lacking): boolean {
  return unknown.length === 0 && notSpokenFor.length === 0;
}

function requireAdministrator(o: Parameters<typeof prepareMachines>[0], { unknown, notSpokenFor }: Lacking): void {
  const { user, profile } = o.hub.session;
  if (profile === "administrator") return;
  const machines = named([...unknown, ...notSpokenFor]);
  throw new RastroError({
    code: "not_allowed",
    message:
      `Preparing the machines failed, nothing was sent: ${o.agent} is not registered to speak for ${machines}; ` +
      `an administrator can change that (rastro machine speaks-for ${o.agent} …), and ${user} is none.`,
    given: profile,
    expected: "administrator",
  });
}

async function untilTold(o: Parameters<typeof prepareMachines>[0], check: () => Promise<Lacking>): Promise<void> {
  const end = o.now() + TOLD_WITHIN_MS;
  for (;;) {
    const lacking = await check();
    if (isNothing(lacking)) return;
    if (o.now() > end) {
      const machines = named([...lacking.unknown, ...lacking.notSpokenFor]);
      throw new RastroError({
        code: "timeout",
        message: `Preparing the machines failed, nothing was sent: the production service does not know within ${TOLD_WITHIN_MS / 1000} s that ${o.agent} speaks for ${machines}.`,
      });
    }
    await o.wait(ASK_EVERY_MS);
  }
}

function noAgent(agent: string): RastroError {
  return new RastroError({
    code: "unknown_name",
    message: `Preparing the machines failed, nothing was sent: no machine ${agent} is registered; expected: the id of the agent on this machine (--as).`,
    field: "--as",
    given: agent,
    expected: "the id of the agent on this machine",
  });
}

function named(machines: readonly string[]): string {
  const more = machines.length - NAMED;
  return machines.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
