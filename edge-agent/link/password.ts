import type { KeyObject } from "node:crypto";
import { signToken } from "../../lib/runtime/token.ts";
import type { HubTime } from "./hub-time.ts";

export type PasswordOptions = {
  machine: string;
  /** The plant's id. */
  plant: string;
  privateKey: KeyObject;
  hubTime: Pick<HubTime, "ask">;
  nonce: () => string;
};

/** Makes a new token for each connection, dated by the hub's clock. */
export function createPassword({ machine, plant, privateKey, hubTime, nonce }: PasswordOptions): () => Promise<string> {
  return async () => {
    const now = await hubTime.ask();
    return signToken({ sub: machine, aud: plant, privateKey, now: () => now, nonce: nonce() });
  };
}
