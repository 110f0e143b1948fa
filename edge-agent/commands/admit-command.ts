import { type Command, CommandName, COMMANDS } from "../../lib/contracts/commands.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import type { HubTime } from "../link/hub-time.ts";

/** How far clocks may differ after the hub has told its time, and when it has not, ms. */
const TOLERANCE_MS = { known: 5000, unknown: 30_000 } as const;

/** The hub is asked again for its time at most so often, ms. */
const ASK_EVERY_MS = 10_000;

export type Admission = {
  /** @throws RastroError `unknown_command`, `schema`, `not_yet_valid`, `expired`. */
  admit(command: Command): Promise<CommandName>;
};

/**
 * Decides whether a command that is the fleet's own may be executed now: name on the allow-list, arguments by the
 * catalogue, time. The own clock is put right by what the hub last told; a command that does not fit is looked at once
 * more after asking again, since the clock may have been set meanwhile.
 *
 * Time never goes back behind the newest `issuedAt` that the fleet has signed: a hub that lies about the time cannot
 * have an old command taken after a newer one was.
 *
 * @param o.newest - ms; the newest `issuedAt` of any command that was taken, over restarts.
 */
export function createAdmission(o: {
  allowed: ReadonlySet<CommandName>;
  hubTime: HubTime;
  newest: () => number;
  now: () => number;
  clock: () => number;
}): Admission {
  let askedAt = Number.NEGATIVE_INFINITY;

  async function checkTime(command: Command): Promise<void> {
    const fault = timeFault(o, command);
    if (fault === null) return;
    if (o.clock() - askedAt < ASK_EVERY_MS) throw fault;
    askedAt = o.clock();
    await o.hubTime.ask();
    const still = timeFault(o, command);
    if (still !== null) throw still;
  }

  return {
    async admit(command) {
      const name = CommandName.safeParse(command.name).data;
      if (name === undefined || !o.allowed.has(name)) throw unknownName(command.name);
      parseValue(COMMANDS[name].args, command.args, `the arguments of ${name}`);
      await checkTime(command);
      return name;
    },
  };
}

function timeFault(
  o: { hubTime: Pick<HubTime, "offsetMs">; newest: () => number; now: () => number },
  { issuedAt, notAfter }: Command,
): RastroError | null {
  const offset = o.hubTime.offsetMs();
  const tolerance = offset === null ? TOLERANCE_MS.unknown : TOLERANCE_MS.known;
  const now = o.now() + (offset ?? 0);
  const ended = Date.parse(notAfter);
  if (ended < now - tolerance || ended < o.newest())
    return outOfTime("expired", `it was to be begun by ${notAfter}`, now);
  if (Date.parse(issuedAt) <= now + tolerance) return null;
  return outOfTime("not_yet_valid", `it was issued at ${issuedAt}`, now);
}

function outOfTime(code: "expired" | "not_yet_valid", why: string, now: number): RastroError {
  const time = new Date(now).toISOString();
  return new RastroError({
    code,
    message: `Taking the command failed: ${why}, and at the hub it is ${time} as far as this machine knows; compare the clocks.`,
  });
}

function unknownName(name: string): RastroError {
  return new RastroError({
    code: "unknown_command",
    message: `Taking the command failed: ${name} is not on this machine's list.`,
    given: name,
  });
}
