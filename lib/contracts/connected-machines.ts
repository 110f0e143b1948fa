import { z } from "zod";
import { Segment } from "./names.ts";

/** Where the hub says which machines it has a connection with; retained, QoS 0. */
export const CONNECTED_MACHINES = "$SYS/broker/machines";

/**
 * What the hub itself sees of a machine. `addresses`: of its connections, each once. `quiet`: no byte came over any of
 * them for a second and a half, which says that an agent is gone (its statuses come each millisecond) and nothing of a
 * device that reports when it has something to say.
 */
export const ConnectedMachine = z.strictObject({
  connections: z.int().min(1),
  addresses: z.array(z.string()),
  quiet: z.boolean(),
});
export type ConnectedMachine = z.infer<typeof ConnectedMachine>;

/** Every machine that has a connection, always the whole of it; one that is not named has none. */
export const ConnectedMachines = z.strictObject({ v: z.literal(1), machines: z.record(Segment, ConnectedMachine) });
export type ConnectedMachines = z.infer<typeof ConnectedMachines>;
