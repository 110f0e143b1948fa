import type { Store, Tx } from "../../lib/storage/store/store.ts";
import { decode, encode, keyOf, SetupRecord } from "./records.ts";
import { fitsHash, newCode, plainCode, sha256 } from "./secrets.ts";

/** The one-time code with which whoever stands at the hub becomes the first administrator. */
export interface SetupCode {
  /** Makes a new code, which replaces an earlier one; stays valid until it is used, also after a restart. */
  renew(): Promise<string>;
  fits(code: string): Promise<boolean>;
  /** Part of the batch that makes the administrator. */
  spend(tx: Tx): void;
}

export function openSetupCode(o: { store: Store; random: (bytes: number) => Buffer }): SetupCode {
  return {
    async renew() {
      const code = newCode(o.random);
      const record = { v: 1, codeHash: sha256(plainCode(code)) } as const;
      await o.store.write((tx) => tx.put(keyOf.setup, encode(record)));
      return code;
    },
    async fits(code) {
      const stored = await o.store.get(keyOf.setup);
      return stored !== undefined && fitsHash(plainCode(code), decode(SetupRecord, stored).codeHash);
    },
    spend: (tx) => tx.del(keyOf.setup),
  };
}
