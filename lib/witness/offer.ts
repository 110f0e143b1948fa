import type { EventDraft } from "../contracts/events.ts";
import type { WitnessOffer } from "../contracts/witness.ts";
import type { Outbox } from "../storage/outbox/outbox.ts";
import type { Store } from "../storage/store/store.ts";

/** What was offered last, in the store of the outbox that tells of it. */
const OFFERED = Buffer.from("switness-offered");

/**
 * Tells the audit book by which key this machine cosigns, once for each key and computer: the event and the note that
 * it was told are one write.
 *
 * @throws RastroError `store_unusable`.
 */
export async function offerOnce(o: {
  store: Pick<Store, "write">;
  acts: Pick<Outbox, "stage">;
  machine: string;
  offer: WitnessOffer;
  /** Id, time and clock of an event that happens now. */
  moment: Pick<EventDraft, "id" | "at" | "tz" | "clock">;
}): Promise<void> {
  const { machine, offer, moment } = o;
  const told = Buffer.from(JSON.stringify(offer));
  await o.store.write((tx) => {
    if (tx.get(OFFERED)?.equals(told) === true) return;
    o.acts.stage(tx, {
      ...moment,
      type: "witness.offered",
      actor: { sub: machine, auth: "device" },
      obj: { kind: "witness", key: machine },
      reason: null,
      payload: offer,
    });
    tx.put(OFFERED, told);
  });
}
