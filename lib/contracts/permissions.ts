import { topicMatches } from "./topics.ts";
import type { Profile } from "./directory.ts";

/*
 * The one table of who may publish and subscribe what. The broker decides by it and by nothing else; files for other
 * brokers are generated from it. `%u` stands for the name that signed in (never the client id). Written in MQTT's own
 * filters, so that it carries over to Mosquitto and EMQX as it is.
 */

/** `hidden`: topics that a wildcard subscription may cover, but that are never forwarded to this profile. */
export type Rule = { publish: readonly string[]; subscribe: readonly string[]; hidden: readonly string[] };

/** What carries a person's dealings, a machine's orders or the broker's own client list; never forwarded to those who look on. */
const PRIVATE = [
  "requests/#",
  "responses/#",
  "directory/#",
  "+/+/receipts/#",
  "+/+/events/#",
  "machines/+/commands/#",
  "$SYS/+/new/#",
] as const;

const LIVE = [
  "machines/+/status",
  "machines/+/summary",
  "machines/+/presence",
  "machines/+/witness/+/alarm",
  "production/#",
  "books/+/checkpoint",
  "books/+/rotations",
  "services/+/alarms/+",
  "services/standby/books/+",
  "$SYS/broker/#",
] as const;

const person: Rule = {
  publish: ["requests/%u/+/+/+/+"],
  subscribe: ["responses/%u/#", ...LIVE],
  hidden: [],
};

/** Reads everything that is not private, at whatever rate its profile gets. */
const onlooker: Rule = { publish: [], subscribe: ["#", "$SYS/#"], hidden: PRIVATE };

const machine: Rule = {
  publish: [
    "machines/%u/status",
    "machines/%u/summary",
    "machines/%u/presence",
    "machines/%u/events/+",
    "machines/%u/commands/+/ack",
    "machines/%u/commands/+/progress",
    "machines/%u/commands/+/result",
    "machines/%u/witness/+/response/+",
    "machines/%u/witness/+/alarm",
  ],
  subscribe: [
    "machines/%u/receipts/+",
    "machines/%u/commands/+",
    "machines/%u/presence",
    "machines/%u/witness/+/add/+",
    "books/+/checkpoint",
    "books/+/rotations",
    // What lies on a second disk need not be kept on the first for as long.
    "services/standby/books/+",
  ],
  hidden: [],
};

/** What every service may do under its own name. */
const anyService: Rule = {
  publish: ["services/%u/events/+", "services/%u/alarms/+", "responses/+/+/+"],
  subscribe: ["services/%u/receipts/+", "requests/+/+/%u/+/+", "directory/principals/+"],
  hidden: [],
};

function service(publish: readonly string[], subscribe: readonly string[]): Rule {
  return {
    publish: [...anyService.publish, ...publish],
    subscribe: [...anyService.subscribe, ...subscribe],
    hidden: [],
  };
}

const SERVICE_RULES: Readonly<Record<string, Rule>> = {
  broker: service([], []),
  directory: service(["directory/principals/+"], []),
  production: service(
    [
      "machines/+/receipts/production",
      "services/+/receipts/production",
      "production/#",
      "books/production/checkpoint",
      "books/production/rotations",
    ],
    ["machines/+/events/production", "services/+/events/production", "services/standby/books/+"],
  ),
  audit: service(
    [
      "machines/+/receipts/audit",
      "services/+/receipts/audit",
      "books/audit/checkpoint",
      "books/audit/rotations",
      "machines/+/witness/+/add/+",
      // It has the checkpoints of production witnessed too, and asks production for what that takes.
      "requests/%u/+/production/book-head/+",
      "requests/%u/+/production/book-consistency/+",
      "requests/%u/+/production/book-cosign/+",
      "requests/%u/+/production/book-hold/+",
    ],
    [
      "books/+/checkpoint",
      "machines/+/presence",
      "responses/%u/#",
      "machines/+/events/audit",
      "services/+/events/audit",
      "machines/+/witness/+/response/+",
      "machines/+/witness/+/alarm",
    ],
  ),
  fleet: service(
    ["machines/+/commands/+", "machines/+/presence"],
    [
      "machines/+/status",
      "machines/+/summary",
      "machines/+/presence",
      "machines/+/commands/+/+",
      // Which machines the hub has a connection with.
      "$SYS/broker/machines",
    ],
  ),
  console: service([], [...LIVE]),
  // It asks two services for records and for what they set apart, and tells how far it has come; nothing else is its business.
  standby: {
    publish: [
      "services/%u/books/+",
      "services/%u/alarms/+",
      "requests/%u/+/production/book-range/+",
      "requests/%u/+/production/book-keys/+",
      "requests/%u/+/production/quarantine-show/+",
      "requests/%u/+/audit/book-range/+",
      "requests/%u/+/audit/book-keys/+",
      "requests/%u/+/audit/quarantine-show/+",
    ],
    subscribe: ["responses/%u/#", "books/+/checkpoint", "books/+/rotations"],
    hidden: [],
  },
};

const PROFILE_RULES: Readonly<Record<Exclude<Profile, "service">, Rule>> = {
  operator: person,
  supervisor: person,
  coordinator: person,
  analyst: person,
  administrator: person,
  inspector: onlooker,
  scada: onlooker,
  machine,
};

const NOTHING: Rule = { publish: [], subscribe: [], hidden: [] };

/** The rule of a name with `%u` filled in. A service that is not listed may do nothing. */
export function ruleFor(profile: Profile, name: string): Rule {
  const rule = profile === "service" ? (SERVICE_RULES[name] ?? NOTHING) : PROFILE_RULES[profile];
  const fill = (filter: string) => filter.replaceAll("%u", name);
  return { publish: rule.publish.map(fill), subscribe: rule.subscribe.map(fill), hidden: rule.hidden.map(fill) };
}

export function mayPublish(rule: Rule, topic: string): boolean {
  return rule.publish.some((filter) => topicMatches(filter, topic));
}

/** A subscription is granted when one allowed filter covers every topic that it could match. */
export function maySubscribe(rule: Rule, filter: string): boolean {
  return rule.subscribe.some((allowed) => filterCovers(allowed, filter));
}

/** Whether a message that a granted subscription matched may be forwarded. */
export function mayReceive(rule: Rule, topic: string): boolean {
  return (
    rule.subscribe.some((filter) => topicMatches(filter, topic)) &&
    !rule.hidden.some((filter) => topicMatches(filter, topic))
  );
}

/** Whether every topic that `asked` matches is matched by `allowed` too. */
export function filterCovers(allowed: string, asked: string): boolean {
  const wide = allowed.split("/");
  const narrow = asked.split("/");
  if (narrow[0]?.startsWith("$") && (wide[0] === "+" || wide[0] === "#")) return false;
  for (const [index, level] of wide.entries()) {
    if (level === "#") return true;
    const given = narrow[index];
    if (given === undefined || given === "#") return false;
    if (level !== "+" && level !== given) return false;
  }
  return wide.length === narrow.length;
}
