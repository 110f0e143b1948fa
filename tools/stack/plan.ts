/** One process of the stack: its name is that of its run file, its prefix in the log and its words in messages. */
export type Plan = { name: string; main: string; nodeOptions?: readonly string[] };

/**
 * The hub makes garbage by the gigabyte, all of it short-lived. With its preset of 16 MiB the young generation grows by
 * tens of MiB at the first busy minute and stays so; 8 MiB cost no statuses a second. The services of the books do the
 * same when a book is exported, and append as fast with it.
 */
export const HUB_NODE_OPTIONS: readonly string[] = ["--max-semi-space-size=8"];

/**
 * What runs, group after group: a group is started once every process of the one before is ready, and stopped in the
 * opposite order (console, agent, services, broker), so that whoever still has something to send can send it.
 */
export const STACK: readonly (readonly Plan[])[] = [
  [{ name: "broker", main: "broker/main.ts", nodeOptions: HUB_NODE_OPTIONS }],
  [
    { name: "audit", main: "services/audit/main.ts", nodeOptions: HUB_NODE_OPTIONS },
    { name: "production", main: "services/production/main.ts", nodeOptions: HUB_NODE_OPTIONS },
    { name: "fleet", main: "services/fleet/main.ts" },
  ],
  [{ name: "edge-agent", main: "edge-agent/main.ts" }],
  [{ name: "console", main: "console/main.ts" }],
];
