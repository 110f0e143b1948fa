import { clockSource } from "../../edge-agent/clock-state.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";
import { outputOf } from "./output-of.ts";

/** Entries of machines are put in order by their times; a second is what people notice. */
const NOTICED_MS = 1000;
/** Tokens are good for ten minutes either way. */
const REFUSED_MS = 10 * 60_000;
/** An answer that took longer says little of the hub's clock. */
const SLOW_MS = 2000;

/** Compares this computer's clock with the hub's. @param o.askHub - the hub's time; rejects when it cannot be asked. */
export async function checkHubClock(o: {
  askHub: () => Promise<{ now: string }>;
  now: () => number;
}): Promise<Finding> {
  const asked = o.now();
  const { now: said } = await o.askHub();
  const answered = o.now();
  const offset = Math.round(Date.parse(said) - (asked + answered) / 2);
  const size = Math.abs(offset);
  const says = `this clock is ${size} ms ${offset > 0 ? "behind" : "ahead of"} the hub's`;
  const todo = "set both clocks by the same time service (NTP)";
  if (size >= REFUSED_MS) return fail("clock", says, `${todo}; tokens are refused from 10 minutes on`);
  if (answered - asked > SLOW_MS)
    return warn("clock", `the hub took ${answered - asked} ms to say its time`, "try again");
  return size < NOTICED_MS ? ok("clock", says) : warn("clock", says, todo);
}

/** Whether a time service keeps this clock: as systemd says, where there is one. */
export async function checkTimeService(
  o: { source?: () => ReturnType<typeof clockSource>; ask?: typeof outputOf } = {},
): Promise<Finding> {
  const source = (o.source ?? clockSource)();
  const synchronized = source === "unknown" ? await askSystem(o.ask ?? outputOf) : source === "ntp";
  const todo = "set up a time service: systemd-timesyncd or chrony (timedatectl shows what there is)";
  if (synchronized === true) return ok("clock", "a time service keeps this clock in step");
  if (synchronized === false) return warn("clock", "a time service is there and has not set this clock yet", todo);
  return warn("clock", "whether a time service keeps this clock cannot be seen here", todo);
}

async function askSystem(ask: typeof outputOf): Promise<boolean | null> {
  const said = await ask("timedatectl", ["show", "--property=NTPSynchronized", "--value"]);
  return said === "yes" ? true : said === "no" ? false : null;
}
