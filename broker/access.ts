import type { Principal } from "../lib/contracts/directory.ts";
import { mayPublish, mayReceive, maySubscribe, ruleFor } from "../lib/contracts/permissions.ts";

/** Decisions kept per connection and direction. A machine uses a dozen topics, an onlooker of a large plant some thousands. */
const CACHED_TOPICS = 8192;

/** What one admitted name may do, decided by the table of contracts/permissions.ts and remembered per topic. */
export interface Access {
  readonly principal: Principal;
  mayPublish(topic: string): boolean;
  maySubscribe(filter: string): boolean;
  mayReceive(topic: string): boolean;
}

export function accessOf(principal: Principal): Access {
  const rule = ruleFor(principal.profile, principal.name);
  const ownResponses = `responses/${principal.name}/`;
  const receives = (topic: string) => {
    // Aedes tells every other broker of its cluster about client ids and subscriptions there; nobody else needs that.
    if (topic.startsWith("$SYS/") && !topic.startsWith("$SYS/broker/")) return false;
    return mayReceive(rule, topic) || (topic.startsWith(ownResponses) && maySubscribe(rule, `${ownResponses}#`));
  };
  return {
    principal,
    mayPublish: remembered((topic) => mayPublish(rule, topic)),
    maySubscribe: (filter) => maySubscribe(rule, filter),
    mayReceive: remembered(receives),
  };
}

/** Reads accesses by name from the directory's snapshot, for what has no connection: stored wills and queues of absent clients. */
export function accessByName(
  principalOf: (name: string) => Principal | undefined,
): (name: string) => Access | undefined {
  const known = new Map<string, Access>();
  return (name) => {
    const principal = principalOf(name);
    if (principal === undefined || !principal.active) return undefined;
    const before = known.get(name);
    if (before?.principal === principal) return before;
    const access = accessOf(principal);
    known.set(name, access);
    return access;
  };
}

function remembered(decide: (topic: string) => boolean): (topic: string) => boolean {
  const decisions = new Map<string, boolean>();
  return (topic) => {
    const known = decisions.get(topic);
    if (known !== undefined) return known;
    if (decisions.size >= CACHED_TOPICS) decisions.clear();
    const decision = decide(topic);
    decisions.set(topic, decision);
    return decision;
  };
}
