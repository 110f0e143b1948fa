/** One process of the stack: its name is that of its run file, its prefix in the log and its words in messages. */
export type Plan = { name: string; main: string };

/**
 * What runs, group after group: a group is started once every process of the one before is ready, and stopped in the
 * opposite order (console, agent, services, broker), so that whoever still has something to send can send it.
 */
export const STACK: readonly (readonly Plan[])[] = [
  [{ name: "broker", main: "broker/main.ts" }],
  [
    { name: "audit", main: "services/audit/main.ts" },
    { name: "production", main: "services/production/main.ts" },
    { name: "fleet", main: "services/fleet/main.ts" },
  ],
  [{ name: "edge-agent", main: "edge-agent/main.ts" }],
  [{ name: "console", main: "console/main.ts" }],
];
