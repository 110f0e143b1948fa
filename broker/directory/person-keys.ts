import { LOCAL_ADMIN } from "../../lib/contracts/directory.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import type { Store } from "../../lib/storage/store/store.ts";

const KEY_BYTES = 32;

/**
 * One AES-256 key per person, in a store of its own with backups of its own: destroying a key erases what was sealed
 * under it, in every book and every backup of a book.
 */
export interface PersonKeys {
  /** Makes the key of a new person. On disk when it resolves, before anything is sealed under it. */
  create(sub: string): Promise<Buffer>;
  /** The key of the local administrator, who is nobody in particular: made when it is first needed. */
  ensure(sub: string): Promise<Buffer>;
  /** @throws RastroError `unknown_name` when there is none, or no longer. */
  get(sub: string): Promise<Buffer>;
  /** As {@link PersonKeys.get}, and for the local administrator as {@link PersonKeys.ensure}. */
  of(sub: string): Promise<Buffer>;
  /** Whether there is one. */
  has(sub: string): Promise<boolean>;
  /** Lets nobody read again what was sealed under it. It may still be in files, until {@link PersonKeys.shred}. */
  destroy(sub: string): Promise<void>;
  /** Leaves nothing of destroyed keys in any file. @throws RastroError `store_unusable`. */
  shred(): Promise<void>;
}

export function openPersonKeys(o: { store: Store; random: (bytes: number) => Buffer }): PersonKeys {
  const at = (sub: string) => Buffer.from(`s/k/${sub}`);
  const keys: PersonKeys = {
    async create(sub) {
      const key = o.random(KEY_BYTES);
      await o.store.write((tx) => tx.put(at(sub), key));
      return key;
    },
    ensure(sub) {
      const fresh = o.random(KEY_BYTES);
      return o.store.write((tx) => {
        const key = tx.get(at(sub));
        if (key === undefined) tx.put(at(sub), fresh);
        return key ?? fresh;
      });
    },
    has: async (sub) => (await o.store.get(at(sub))) !== undefined,
    destroy: (sub) => o.store.write((tx) => tx.del(at(sub))),
    shred: () => o.store.rewrite(),
    async get(sub) {
      const key = await o.store.get(at(sub));
      if (key !== undefined) return key;
      throw new RastroError({ code: "unknown_name", message: `Reading the key of ${sub} failed: there is none.` });
    },
    of: (sub) => (sub === LOCAL_ADMIN ? keys.ensure(sub) : keys.get(sub)),
  };
  return keys;
}
