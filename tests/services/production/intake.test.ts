import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Event } from "../../../lib/contracts/events.ts";
import { canonicalBytes } from "../../../lib/ledger/canonical.ts";
import { sign } from "../../../lib/ledger/signature.ts";
import { createKey } from "../../../lib/runtime/keys.ts";
import { createIntake, type Intake } from "../../../lib/storage/intake/intake.ts";
import { judgeMachineEvent } from "../../../services/production/machine-entries.ts";
import { type Desk, openDesk, STORES } from "./desk.ts";
import { fields, machine, machineEvent, NAMES, uuid } from "./samples.ts";

const EPOCH = "0123456789abcdef";

describe.each(STORES)("events of machines, on %s", (_name, open) => {
  const key = createKey();
  const press = machine("press-01", { publicKey: key.publicRaw.toString("base64") });
  let desk: Desk;
  let intake: Intake;
  beforeEach(async () => {
    desk = await openDesk(open);
    let made = 100;
    intake = createIntake({
      store: desk.store,
      book: desk.book,
      principalOf: (name) => (name === press.name ? press : NAMES.byName(name)),
      self: desk.self,
      newId: () => uuid(made++),
      decide: (_tx, event, arrival) => ({ added: judgeMachineEvent(NAMES, event, arrival) }),
    });
  });
  afterEach(() => desk.close());

  const signed = (dseq: number, given: Partial<Event> = {}) => {
    const src = { name: "press-01", app: "edge-agent@test", outbox: { epoch: EPOCH, dseq } };
    const event = machineEvent({ id: uuid(dseq), src, ...given });
    return { event, sig: sign(key.privateKey, canonicalBytes(event)) };
  };
  const receive = (...events: unknown[]) => intake.receive("press-01", { v: 1, epoch: EPOCH, floor: 1, events });
  const told = async () =>
    (await desk.waiting()).map(({ event }) => [
      event.payload["seq"],
      event.payload["type"],
      event.payload["result"],
      event.id,
    ]);

  it("count once booked, and audit is told of each record in its order", async () => {
    const { receipts } = await receive(
      signed(1),
      signed(2, { payload: { fields: fields({ machine: "press-02" }) } }),
      { event: { nonsense: true } },
      signed(4),
    );
    expect(receipts.map((receipt) => [receipt.status, receipt.code])).toEqual([
      ["booked", undefined],
      ["refused", "not_spoken_for"],
      ["quarantined", "schema"],
      ["booked", undefined],
    ]);
    expect(await told()).toEqual([
      [0, "entry.created", "booked", uuid(1)],
      [1, "entry.created", "refused", uuid(2)],
      [2, "event.quarantined", "quarantined", uuid(100)],
      [3, "entry.created", "booked", uuid(4)],
    ]);
    expect(await desk["entry-totals"]({ lot: null })).toMatchObject({ entries: 2, good: 20 });
  });

  it("tell audit of a range that was lost", async () => {
    await intake.receive("press-01", { v: 1, epoch: EPOCH, floor: 5, events: [signed(5)] });
    expect(await told()).toEqual([
      [0, "gap.found", "booked", uuid(100)],
      [1, "entry.created", "booked", uuid(5)],
    ]);
  });

  it("get the same receipt again and tell audit nothing twice", async () => {
    const first = await receive(signed(1));
    expect(await receive(signed(1))).toEqual(first);
    expect(await told()).toHaveLength(1);
  });

  it("show that a machine reported them", async () => {
    await receive(signed(1, { payload: { fields: fields({ good: 4 }) } }));
    const shown = await desk["entry-show"]({ id: uuid(1) });
    expect(shown.versions).toMatchObject([{ actor: "press-01", who: "press-01", via: "press-01" }]);
  });
});
