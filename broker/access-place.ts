import { PROFILES, SERVICE_NAMES, type Principal } from "../lib/contracts/directory.ts";
import { ruleFor } from "../lib/contracts/permissions.ts";
import { parseRequest } from "../lib/contracts/topics.ts";

/** Stands for what somebody wrote into a topic that is none of our words. */
const OTHER = "?";
const LONGEST = 128;

/** The words of the system's own topics; what else stands in a topic may be anybody's name. */
const WORDS: ReadonlySet<string> = new Set(
  [
    ...PROFILES.filter((profile) => profile !== "service").map((profile) => ruleFor(profile, "+")),
    ...SERVICE_NAMES.map((name) => ruleFor("service", name)),
  ]
    .flatMap(({ publish, subscribe, hidden }) => [...publish, ...subscribe, ...hidden])
    .flatMap((filter) => filter.split("/")),
);

/**
 * A topic or filter as it may stand in the book for ever: a person's login becomes the random id, and what is neither a
 * word of ours nor a registered name is left out.
 */
export function placeOf(topic: string, principalOf: (name: string) => Principal | undefined): string {
  const request = parseRequest(topic);
  const levels = request === null ? topic.split("/") : ["requests", request.service, request.operation];
  const shown = levels.map((level) => {
    if (WORDS.has(level)) return level;
    return principalOf(level)?.sub ?? (request === null ? OTHER : level);
  });
  return shown.join("/").slice(0, LONGEST) || OTHER;
}
