import { RastroError } from "../../lib/contracts/errors.ts";
import type { Event, Receipt, SignedEvent } from "../../lib/contracts/events.ts";
import type { RequestOf, ResponseOf } from "../../lib/contracts/operations.ts";
import { LedgerError } from "../../lib/ledger/error.ts";
import type { AppendInput, Book } from "../../lib/storage/book/book.ts";
import {
  type MadeEvent,
  makeServiceEventAside,
  type ServiceEventInput,
  type ServiceSelf,
} from "../../lib/storage/book/service-event.ts";
import { quarantine } from "../../lib/storage/quarantine/quarantine.ts";
import type { KeysOfPeople } from "../../lib/storage/people/sealed-reason.ts";
import type { Store, Tx } from "../../lib/storage/store/store.ts";
import { correctionEvent, creationEvent, voidEvent } from "./entry-event.ts";
import { stateOf } from "./fold.ts";
import { createInTurn } from "./in-turn.ts";
import { justify, type Justified, WITHOUT_REASON } from "./justify.ts";
import { earlierOf, repeatOf } from "./repeat.ts";
import {
  judgeCorrection,
  judgeCreation,
  type Judgement,
  judgeVoid,
  type Names,
  unknownEntry,
  unknownLot,
} from "./rules.ts";
import { lotTotalsKey } from "./view-keys.ts";
import type { Views } from "./views.ts";

/** Who asks, as the server of requests knows it from the topic and the directory. */
export type Caller = { sub: string; profile: string; session: string; auth: "session" | "local" };

type Change = {
  caller: Caller;
  event: ServiceEventInput;
  justified: Justified;
  /** Called in the stage, so that it sees every change that was booked before this one. */
  judge: (tx: Tx, recv: string) => Judgement;
};

export type Changes = {
  [O in "entry-add" | "entry-correct" | "entry-void"]: (
    body: RequestOf<"production", O>,
    caller: Caller,
  ) => Promise<ResponseOf<"production", O>>;
};

/**
 * The three requests that change the book. The person vouches for himself, so the service writes the event in his
 * name and signs it. Each resolves after the record, the views and what audit is told are on disk; what is refused
 * leaves nothing behind but, where its id was used for something else before, itself in quarantine. The same request under the same event id gets the first one's receipt again.
 */
export function createChanges(o: {
  store: Pick<Store, "write">;
  book: Book;
  newId: () => string;
  names: Names;
  personKeys: KeysOfPeople;
  views: Pick<Views, "lots">;
  self: ServiceSelf;
  /** As `self.sign`, which need not answer at once: a signature takes as long as everything else that is done here. */
  sign: (bytes: Uint8Array) => string | Promise<string>;
}): Changes {
  const inTurn = createInTurn();

  /** Booked in the order in which they were asked for, whichever signature is ready first. */
  async function book(change: Change): Promise<{ rev: number; receipt: Receipt }> {
    const made = await inTurn(makeServiceEventAside(o.self, change.event, o.sign));
    return o.store
      .write((tx) => bookInStage(tx, made, change))
      .catch(async (thrown: unknown) => {
        if (thrown instanceof RastroError && thrown.code === "id_conflict") await keepBoth(made, thrown);
        throw thrown;
      });
  }

  /** The first is in the book; what was asked for under its id as well is kept whole beside it, as what machines send is. */
  async function keepBoth({ event, sig }: MadeEvent, { code, message }: RastroError): Promise<void> {
    const raw: SignedEvent = { event, sig: sig?.value ?? null };
    const recv = new Date(o.self.now()).toISOString();
    await o.store.write((tx) => void quarantine(o, tx, { raw, from: o.self.name, recv, code, message }));
  }

  function bookInStage(tx: Tx, made: MadeEvent, { caller, justified, judge }: Change) {
    const { event, text, sig } = made;
    const earlier = earlierOf(o.book, tx, event.id);
    if (earlier !== undefined) return repeatOf(earlier, event, justified.text, justified.unseal);
    const recv = new Date(o.self.now()).toISOString();
    const judged = judge(tx, recv);
    const input: AppendInput = {
      recv,
      event,
      sig,
      via: { kind: "request", name: null, session: caller.session },
      added: { result: "booked", code: null, role: caller.profile, ...judged },
    };
    const booked = withinSize(() => o.book.append(tx, input, event.id, text));
    return {
      rev: judged.rev,
      receipt: { id: event.id, status: "booked" as const, book: "production" as const, ...booked },
    };
  }

  return {
    async "entry-add"(body, caller) {
      const event = creationEvent(actorOf(caller), body);
      const judge = (_tx: Tx, recv: string) => judgeCreation(o.names, null, { ...body, recv, unsigned: false });
      const { receipt } = await book({ caller, event, justified: WITHOUT_REASON, judge });
      return { id: body.id, receipt };
    },

    async "entry-correct"(body, caller) {
      const justified = await justify(o.personKeys, caller.sub, body.event, body.reason);
      const event = correctionEvent(actorOf(caller), { ...body, reason: justified.reason });
      const judge = (tx: Tx) =>
        judgeCorrection(o.names, headOf(tx, body.id), {
          ...body,
          lotIsKnown: (lot) => tx.get(lotTotalsKey(lot)) !== undefined,
        });
      const done = book({ caller, event, justified, judge });
      return { id: body.id, ...(await namingNearestLots(done, body.fields.lot, o.views)) };
    },

    async "entry-void"(body, caller) {
      const justified = await justify(o.personKeys, caller.sub, body.event, body.reason);
      const event = voidEvent(actorOf(caller), { ...body, reason: justified.reason });
      const judge = (tx: Tx) => judgeVoid(headOf(tx, body.id), body.rev);
      return { id: body.id, ...(await book({ caller, event, justified, judge })) };
    },
  };
}

function actorOf({ sub, auth }: Caller): Event["actor"] {
  return { sub, auth };
}

function headOf(tx: Tx, id: string) {
  const head = stateOf(tx, id);
  if (head === undefined) throw unknownEntry(id);
  return head;
}

/** Lots are looked up for the message only after a refusal: a stage must not wait. */
async function namingNearestLots<T>(done: Promise<T>, lot: string, views: Pick<Views, "lots">): Promise<T> {
  try {
    return await done;
  } catch (thrown) {
    if (!(thrown instanceof RastroError) || thrown.code !== "unknown_lot") throw thrown;
    throw unknownLot(lot, "fields.lot", await views.lots());
  }
}

function withinSize<T>(append: () => T): T {
  try {
    return append();
  } catch (cause) {
    if (!(cause instanceof LedgerError) || cause.code !== "too-large") throw cause;
    throw new RastroError(
      {
        code: "schema",
        message: "Booking the change failed: with the snapshots before and after it is larger than a record may be.",
        field: "fields.scrap",
        expected: "fewer or shorter rows of scrap",
      },
      { cause },
    );
  }
}
