import type { RequestOf, ResponseOf } from "../../../lib/contracts/operations.ts";
import type { Justification } from "../../../lib/contracts/production.ts";
import type { Caller } from "../../../lib/messaging/request-server.ts";
import { type KeysOfPeople, sealReason } from "../../../lib/storage/people/sealed-reason.ts";
import type { Admissions, AskedBy } from "./admissions.ts";
import type { TrustPolicy } from "./trust-policy.ts";
import type { Witnesses } from "./witnesses.ts";

type WitnessOperation = "witness-list" | "witness-policy" | "witness-add" | "witness-remove" | "accept-loss";

export type WitnessHandlers = {
  [O in WitnessOperation]: (body: RequestOf<"audit", O>, caller: Caller) => Promise<ResponseOf<"audit", O>>;
};

/** What people ask of witnesses, and of a book that is behind them. */
export function createWitnessHandlers(o: {
  witnesses: Pick<Witnesses, "list" | "books">;
  admissions: Pick<Admissions, "admit" | "remove">;
  policy: () => TrustPolicy;
  acceptLoss: (book: RequestOf<"audit", "accept-loss">["book"], by: AskedBy) => Promise<number>;
  personKeys: KeysOfPeople;
}): WitnessHandlers {
  /** Free text says who somebody is, and must be possible to erase. */
  async function askedBy(id: string, { sub, auth }: Caller, { code, text }: Justification): Promise<AskedBy> {
    const person = await o.personKeys.of(sub);
    const sealed = person === null ? null : sealReason(person.key, sub, text, id);
    return { id, actor: { sub, auth }, reason: { code, text: sealed } };
  }

  return {
    "witness-list": async () => ({ witnesses: o.witnesses.list(), books: o.witnesses.books() }),
    "witness-policy": async () => o.policy(),
    async "witness-add"({ event, name, vkey, url, reason }, caller) {
      await o.admissions.admit(name, { vkey, url }, await askedBy(event, caller, reason));
      return { sha256: o.policy().sha256 };
    },
    async "witness-remove"({ event, name, reason }, caller) {
      await o.admissions.remove(name, await askedBy(event, caller, reason));
      return { sha256: o.policy().sha256 };
    },
    "accept-loss": async ({ event, book, reason }, caller) => ({
      book,
      size: await o.acceptLoss(book, await askedBy(event, caller, reason)),
    }),
  };
}
