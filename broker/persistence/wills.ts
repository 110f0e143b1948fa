import { keys } from "./keys.ts";
import type { Mirror } from "./mirror.ts";

/** A will as Aedes hands it over, with the hub's run and the client that it is of. */
export type Will = {
  topic: string;
  payload: Buffer | string;
  qos: number;
  retain: boolean;
  brokerId?: string;
  clientId?: string;
};

/** The wills of connected clients, kept for a hub that is killed: the next one publishes them. */
export interface Wills {
  put(client: string, will: Will): void;
  get(client: string): Will | undefined;
  remove(client: string): Will | undefined;
  /** Those of runs of the hub that are not among these. */
  notOf(runs: Readonly<Record<string, unknown>>): Will[];
  /** What was on the disk at the start. */
  restore(client: string, bytes: Buffer): void;
}

export function createWills(o: { mirror: Mirror }): Wills {
  const wills = new Map<string, Will>();
  return {
    put(client, will) {
      wills.set(client, will);
      o.mirror.set(keys.will(client), encodeWill(will));
    },
    get: (client) => wills.get(client),
    remove(client) {
      const will = wills.get(client);
      if (wills.delete(client)) o.mirror.set(keys.will(client), null);
      return will;
    },
    notOf: (runs) => [...wills.values()].filter(({ brokerId }) => runs[brokerId ?? ""] === undefined),
    restore(client, bytes) {
      wills.set(client, decodeWill(client, bytes));
    },
  };
}

function encodeWill({ payload, ...rest }: Will): Buffer {
  return Buffer.from(JSON.stringify({ ...rest, payload: Buffer.from(payload).toString("base64") }));
}

function decodeWill(client: string, bytes: Buffer): Will {
  const { payload, ...rest } = JSON.parse(bytes.toString()) as Will & { payload: string };
  return { ...rest, payload: Buffer.from(payload, "base64"), clientId: client };
}
