import type { Aedes, Client } from "aedes";
import type { Logger } from "pino";
import type { AedesClient } from "./aedes-internals.ts";

/** What ends a connection without a packet of it being at fault, as Aedes says it. */
const NO_FAULT_OF_A_PACKET: ReadonlySet<string> = new Set(["keep alive timeout", "connect did not arrive in time"]);

/**
 * Writes what Aedes says of faults into the log.
 *
 * @param o.onMalformed - a packet of this connection was at fault; Aedes ends the connection.
 */
export function watchFaults(aedes: Aedes, o: { log: Logger; onMalformed: (client: AedesClient) => void }): void {
  const ended = (client: Client, error: Error & { code?: string; returnCode?: number }) => {
    o.log.debug({ client: client.id, err: error }, "a connection ended badly");
    const ofTheSocket = error.code !== undefined;
    const refused = error.returnCode !== undefined;
    if (!ofTheSocket && !refused && !NO_FAULT_OF_A_PACKET.has(error.message)) o.onMalformed(client as AedesClient);
  };
  aedes.on("clientError", ended);
  aedes.on("connectionError", ended);
  (aedes as NodeJS.EventEmitter).on("error", (error: Error) =>
    o.log.error({ err: error }, "the broker reported a fault"),
  );
}
