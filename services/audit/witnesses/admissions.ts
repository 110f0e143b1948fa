import type { Actor, Event, EventDraft } from "../../../lib/contracts/events.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import type { QuorumRule } from "../../../lib/contracts/quorum.ts";
import { formatVerifierKey, type VerifierKey } from "../../../lib/ledger/signed-note.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { BookOwnAct } from "../own-acts.ts";
import { isRevoked, WITNESS_KIND, type WitnessRow } from "./membership.ts";
import { draftOf, type Teller } from "./own-events.ts";
import { type Quorum, quorumOf, witnessKey, WITNESSES_MAXIMUM } from "./standing.ts";
import type { WitnessView } from "./view.ts";

/** Whoever asks for a change: `id` is that of the event, made by whoever asks, so that asking again changes nothing. */
export type AskedBy = { id: string; actor: Actor; reason: Event["reason"] };

/** Who is a witness. Every change is a record, and who is one is read from the records. */
export interface Admissions {
  quorum(): Quorum;
  /**
   * Lets a witness in, by a key that is given or the one that its agent offered. On disk when it resolves.
   * @throws RastroError `schema`, `name_taken`, `unknown_name`.
   */
  admit(name: string, given: { vkey: string | null; url: string | null }, by: AskedBy): Promise<void>;
  /** Takes a witness out for good. @throws RastroError `unknown_name`. */
  remove(name: string, by: AskedBy): Promise<void>;
  /** Lets in whoever has offered itself and may come by itself. Resolves when that is on disk, or has failed and is logged. */
  welcome(): Promise<void>;
}

/**
 * @param o.automatic - whether machines' agents are let in by their own offer.
 * @param o.isBooked - whether an event of this id is in the book.
 */
export function createAdmissions(o: {
  view: WitnessView;
  tell: BookOwnAct;
  teller: Teller;
  isBooked: (id: string) => boolean;
  automatic: boolean;
  hubHost: string | null;
  rule: QuorumRule;
  log: Logger;
}): Admissions {
  const { view, hubHost, rule } = o;
  let last: Promise<unknown> = Promise.resolve();

  /** One change after the other: each is decided by what the one before has left on disk. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work);
    last = turn.catch(() => undefined);
    return turn;
  }

  // Asked at each checkpoint and cosignature, and reading a key is not for nothing.
  let known: Quorum | null = null;
  view.onChange(() => (known = null));

  const members = () => view.rows().filter(({ admitted }) => admitted !== null);

  function refuseKey(name: string, key: VerifierKey): void {
    const twin = members().find((row) => row.name !== name && keyOf(row)?.publicRaw.equals(key.publicRaw));
    if (twin !== undefined) throw taken(name, `${twin.name} has the same key`);
    if (members().length >= WITNESSES_MAXIMUM && view.row(name)?.admitted === null) {
      throw taken(name, `there are ${WITNESSES_MAXIMUM} already`);
    }
  }

  async function book(
    name: string,
    key: VerifierKey,
    more: { url: string | null; host: string | null },
    by: AskedBy | null,
  ) {
    const payload = { vkey: formatVerifierKey(key), ...more };
    await o.tell(draftOf(o.teller, { type: "witness.admitted", obj: { kind: WITNESS_KIND, key: name }, payload }, by));
    o.log.warn({ witness: name, ...payload }, "a witness was admitted: keep the new trust policy elsewhere");
  }

  async function welcomeOne({ name, offered }: WitnessRow): Promise<void> {
    const key = offered === null ? null : witnessKey(offered.vkey);
    if (offered === null || key === null) return;
    try {
      refuseKey(name, key);
      await book(name, key, { url: null, host: offered.host }, null);
    } catch (error) {
      o.log.error({ err: error, witness: name }, "a witness that offered itself could not be admitted");
    }
  }

  return {
    quorum: () => (known ??= quorumOf({ rows: view.rows(), hubHost, rule })),
    admit: (name, { vkey, url }, by) =>
      inTurn(async () => {
        if (o.isBooked(by.id)) return;
        const row = view.row(name);
        const key = witnessKey(vkey ?? row?.offered?.vkey ?? "");
        if (key === null) throw noKey(name, vkey);
        refuseKey(name, key);
        // What its agent says of its computer stands also where a person lets it in.
        const isOffered = row?.offered?.vkey === formatVerifierKey(key);
        await book(name, key, { url, host: isOffered ? (row?.offered?.host ?? null) : null }, by);
      }),
    remove: (name, by) =>
      inTurn(async () => {
        if (o.isBooked(by.id)) return;
        const row = view.row(name);
        const vkey = row?.admitted?.vkey ?? row?.offered?.vkey;
        if (vkey === undefined) throw unknown(name);
        const told: Pick<EventDraft, "type" | "obj" | "payload"> = {
          type: "witness.removed",
          obj: { kind: WITNESS_KIND, key: name },
          payload: { vkey },
        };
        await o.tell(draftOf(o.teller, told, by));
        o.log.warn({ witness: name }, "a witness was removed: keep the new trust policy elsewhere");
      }),
    welcome: () =>
      inTurn(async () => {
        if (o.automatic) for (const row of view.rows().filter(comesByItself)) await welcomeOne(row);
      }),
  };
}

/** It has offered a key or computer by which it is not known yet, and nobody has decided on it by hand. */
function comesByItself(row: WitnessRow): boolean {
  const { offered, admitted, barred, revoked } = row;
  if (offered === null || barred || admitted?.byHand === true) return false;
  if (revoked !== null && (revoked.now || revoked.seq > offered.seq)) return false;
  return admitted === null || isRevoked(row) || admitted.vkey !== offered.vkey || admitted.host !== offered.host;
}

function keyOf({ admitted }: WitnessRow): VerifierKey | null {
  return admitted === null ? null : witnessKey(admitted.vkey);
}

function noKey(name: string, vkey: string | null): RastroError {
  if (vkey === null) return unknown(name);
  return new RastroError({
    code: "schema",
    message: `Admitting the witness ${name} failed: "${vkey}" is no key of a cosigner; expected <name>+<8 hexadecimal digits>+<base64> of type 0x04, as the witness prints it.`,
    field: "vkey",
    given: vkey,
    expected: "a verifier key for Ed25519 cosignatures (C2SP signed-note, tlog-cosignature)",
  });
}

function unknown(name: string): RastroError {
  return new RastroError({
    code: "unknown_name",
    message: `Looking up the witness ${name} failed: no machine has offered one of this name; name its key as well.`,
    given: name,
  });
}

function taken(name: string, why: string): RastroError {
  return new RastroError({ code: "name_taken", message: `Admitting the witness ${name} failed: ${why}.`, given: name });
}
