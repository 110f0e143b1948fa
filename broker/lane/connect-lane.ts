import type { Aedes, Client } from "aedes";
import type { ViewRate } from "../../lib/contracts/view-rates.ts";
import type { Access } from "../access.ts";
import type { AedesClient } from "../aedes-internals.ts";
import type { Outlet } from "../outlet.ts";
import type { Persistence } from "../persistence/persistence.ts";
import type { StatusLane } from "./status-lane.ts";
import { createViewTicks } from "./view-ticks.ts";

/** Only what the lane needs of an admitted connection. */
type LaneConnection = { access: Access; viewRate: ViewRate; mayTake: () => boolean };

/**
 * Puts the lane beside Aedes, and gives every reader the statuses at its view rate, with the lane or without.
 *
 * @param o.lane - null when it is switched off.
 * @returns ends it.
 */
export function connectLane(o: {
  aedes: Aedes;
  lane: StatusLane | null;
  persistence: Pick<Persistence, "beforeFlush">;
  connectionOf: (client: Client) => LaneConnection | undefined;
  outletOf: (client: AedesClient) => Outlet | undefined;
}): () => void {
  const { aedes, lane } = o;
  const ticks = createViewTicks();
  const stops = new Map<AedesClient, () => void>();

  const changed = (client: AedesClient) => {
    const connection = o.connectionOf(client);
    const outlet = o.outletOf(client);
    if (connection === undefined || outlet === undefined) return;
    lane?.readerChanged(client, { outlet, access: connection.access, full: connection.viewRate === "full" });
  };
  const connected = (client: AedesClient) => {
    const connection = o.connectionOf(client);
    const outlet = o.outletOf(client);
    if (connection === undefined || outlet === undefined || client.closed) return;
    const { principal } = connection.access;
    if (principal.kind === "machine") lane?.cutFrom(client, principal.name, connection.mayTake);
    // A resumed session has its subscriptions from before.
    changed(client);
    if (connection.viewRate === "full") return;
    const tick = () => {
      outlet.releaseThinned();
      lane?.catchUp(client);
    };
    stops.set(client, ticks.every(connection.viewRate, tick));
  };
  const gone = (client: AedesClient) => {
    lane?.gone(client);
    stops.get(client)?.();
    stops.delete(client);
  };

  // Packets that came before the connection was ready are handled first: Aedes listens for the same event, and longer.
  aedes.on("client", (client) => client.once("connected", () => connected(client as AedesClient)));
  aedes.on("subscribe", (_subscriptions, client) => changed(client as AedesClient));
  aedes.on("unsubscribe", (_filters, client) => changed(client as AedesClient));
  aedes.on("clientDisconnect", (client) => gone(client as AedesClient));

  if (lane !== null) o.persistence.beforeFlush(lane.settle);
  return () => {
    ticks.stop();
    lane?.stop();
  };
}
