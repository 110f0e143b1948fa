import type { Principal, Profile } from "../../lib/contracts/directory.ts";
import type { Event } from "../../lib/contracts/events.ts";
import type { RequestOf, ResponseOf } from "../../lib/contracts/operations.ts";
import { PERSONAL_READERS } from "../../lib/contracts/privacy.ts";
import { formatVerifierKey, SIGNATURE_TYPES, verifierKey } from "../../lib/ledger/signed-note.ts";
import { openRecord } from "../../lib/ledger/record.ts";
import type { BookQueries } from "../../lib/storage/book/book-queries.ts";
import type { Personal } from "../../lib/storage/people/personal.ts";
import type { ReadWords, Words } from "../../lib/storage/export/words.ts";

export type ShowHandlers = {
  [O in "audit-tail" | "audit-show" | "audit-keys"]: (
    body: RequestOf<"audit", O>,
    caller: { profile: Profile },
  ) => Promise<ResponseOf<"audit", O>>;
};

type Readable = { record: unknown; personal: Personal } & Words;

/**
 * Shows records to people who may read names and reasons. The record is as it is stored; what is readable beside it
 * comes from the directory of now, and is gone once a person has been erased.
 */
export function createShowHandlers(o: {
  queries: Pick<BookQueries, "book-tail" | "book-proof">;
  words: ReadWords;
  readPersonal: (event: Event) => Promise<Personal>;
  principals: () => Pick<Principal, "name" | "publicKey">[];
}): ShowHandlers {
  async function readable(bytes: string, { profile }: { profile: Profile }): Promise<Readable> {
    const record = openRecord(Buffer.from(bytes, "base64"));
    const mayRead = PERSONAL_READERS.includes(profile);
    const personal = mayRead ? await o.readPersonal(record.event as Event) : {};
    return { record, ...(await o.words(record)), personal };
  }

  return {
    async "audit-tail"(page, caller) {
      const { head, records } = await o.queries["book-tail"](page);
      const rows = await Promise.all(
        records.map(async ({ seq, leaf, bytes }) => ({ seq, leaf, ...(await readable(bytes, caller)) })),
      );
      return { head, rows };
    },
    async "audit-keys"() {
      return { keys: o.principals().flatMap(vkeyOf) };
    },
    async "audit-show"(which, caller) {
      const proof = await o.queries["book-proof"](which);
      return { proof, ...(await readable(proof.record.bytes, caller)) };
    },
  };
}

function vkeyOf({ name, publicKey }: Pick<Principal, "name" | "publicKey">): string[] {
  if (publicKey === null) return [];
  return [formatVerifierKey(verifierKey(name, SIGNATURE_TYPES.ed25519, Buffer.from(publicKey, "base64")))];
}
