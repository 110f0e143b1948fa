import type { ConnectedMachine, ConnectedMachines } from "../lib/contracts/connected-machines.ts";

/** How often the hub looks at its connections, ms: that one came or went is told so late at most. */
export const LOOK_EVERY_MS = 250;

/** Looks in a row without a byte before a connection counts as quiet: a second and a half. */
const QUIET_LOOKS = 6;

/** A connection as far as it matters here. `bytesRead` only grows while something comes in. */
export type MachineConnection = { machine: string; address: string; bytesRead: number };

export type Looks<C> = {
  /** Looks at every connection there is, and tells what changed. */
  look(connections: Iterable<readonly [C, MachineConnection]>): void;
};

/**
 * Tells which machines are connected, by the hub's own eyes: a will is only what the client wished to have said. The
 * first look is told in any case, so that what an earlier start of the hub had retained is not taken for true.
 *
 * Silence is counted in looks and not in time: when the hub itself stood still, nobody was silent.
 */
export function createConnectedMachines<C extends object>(tell: (text: string) => void): Looks<C> {
  const seen = new WeakMap<C, { bytesRead: number; quietLooks: number }>();
  let told: string | null = null;

  function isQuiet(connection: C, bytesRead: number): boolean {
    const last = seen.get(connection);
    const quietLooks = last === undefined || last.bytesRead !== bytesRead ? 0 : last.quietLooks + 1;
    seen.set(connection, { bytesRead, quietLooks });
    return quietLooks >= QUIET_LOOKS;
  }

  return {
    look(connections) {
      const machines = new Map<string, ConnectedMachine>();
      for (const [connection, { machine, address, bytesRead }] of connections) {
        const quiet = isQuiet(connection, bytesRead);
        const before = machines.get(machine) ?? { connections: 0, addresses: [], quiet: true };
        machines.set(machine, {
          connections: before.connections + 1,
          addresses: [...new Set([...before.addresses, address])].toSorted(),
          quiet: before.quiet && quiet,
        });
      }
      const said: ConnectedMachines = { v: 1, machines: Object.fromEntries(machines) };
      const text = JSON.stringify(said);
      if (text !== told) tell(text);
      told = text;
    },
  };
}
