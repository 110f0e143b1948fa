import { ConnectedMachines } from "../../lib/contracts/connected-machines.ts";
import { parseJson } from "../../lib/contracts/parse.ts";

/** What the hub sees of a machine: `quiet` has a connection over which nothing comes, `none` has no connection. */
export type SeenByHub = {
  state: "connected" | "quiet" | "none";
  /** Since when that is known here, ms since 1970. */
  since: number;
  /** Whether the hub named it at all since it was first heard. */
  named: boolean;
};

export type HubView = {
  take(said: ConnectedMachines): void;
  /** To be called when the connection to the hub goes: what it saw says nothing any more. */
  forget(): void;
  /** Null while the broker has said nothing, which one that is not ours never does. */
  of(machine: string): SeenByHub | null;
  addresses(machine: string): string[];
};

/** @throws RastroError `malformed` or `schema`. */
export function readConnectedMachines(payload: Uint8Array): ConnectedMachines {
  return parseJson(ConnectedMachines, payload, "the machines that the hub is connected with");
}

/** Keeps, in memory only, what the hub says of the connections that it has. */
export function createHubView(now: () => number): HubView {
  let last: { machines: ConnectedMachines["machines"]; firstAt: number } | null = null;
  const seen = new Map<string, SeenByHub>();

  function note(machine: string, state: SeenByHub["state"]): void {
    if (seen.get(machine)?.state !== state) seen.set(machine, { state, since: now(), named: true });
  }

  return {
    take({ machines }) {
      last = { machines, firstAt: last?.firstAt ?? now() };
      for (const [machine, { quiet }] of Object.entries(machines)) note(machine, quiet ? "quiet" : "connected");
      for (const machine of seen.keys()) if (machines[machine] === undefined) note(machine, "none");
    },
    forget() {
      last = null;
      seen.clear();
    },
    of(machine) {
      if (last === null) return null;
      return seen.get(machine) ?? { state: "none", since: last.firstAt, named: false };
    },
    addresses: (machine) => last?.machines[machine]?.addresses ?? [],
  };
}
