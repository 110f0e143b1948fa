import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keys } from "../../lib/storage/keys.ts";
import type { Backend, Bed } from "./backends.ts";
import { eventOf, idOf, principalOf, signer } from "./events.ts";
import { type IntakeParts, openIntake } from "./intake-parts.ts";

const EPOCH = "0102030405060708";
const machine = signer("ipc-07");
const service = signer("production");

/** What becomes of events that a sender had lost, whatever store the book lies on. */
export function gapsSuite(backend: Backend): void {
  describe(`a gap in an outbox, on ${backend.name}`, () => {
    let bed: Bed;
    let parts: IntakeParts;

    beforeEach(async () => {
      bed = await backend.make();
      await open();
    });
    afterEach(async () => {
      await parts.store.close();
      await bed.remove();
    });

    const open = async () => {
      parts = await openIntake(await bed.open(), { service, principals: [principalOf(machine), principalOf(service)] });
    };
    const event = (dseq: number) => eventOf(machine, EPOCH, dseq);
    const send = (dseqs: readonly number[], floor = 1) =>
      parts.intake.receive(machine.name, { v: 1, epoch: EPOCH, floor, events: dseqs.map(event) });
    const statuses = async (dseqs: readonly number[], floor = 1) =>
      (await send(dseqs, floor)).receipts.map(({ status }) => status);
    const gaps = () =>
      parts
        .events()
        .filter(({ type }) => type.startsWith("gap."))
        .map(({ type, payload }) => [type, payload["first"], payload["last"], payload["found"] ?? null]);

    it("is closed by a record of its own when all of it has come, and not before", async () => {
      await send([1]);
      await send([5, 6], 5);
      expect(gaps()).toEqual([["gap.found", 2, 4, null]]);
      expect(await statuses([2, 3])).toEqual(["booked", "booked"]);
      expect(gaps()).toHaveLength(1);
      expect(await statuses([4, 5, 6, 7])).toEqual(["booked", "booked", "booked", "booked"]);
      expect(gaps()).toEqual([
        ["gap.found", 2, 4, null],
        ["gap.closed", 2, 4, 1],
      ]);
      expect(parts.events("gap.closed")[0]).toMatchObject({
        actor: { sub: "production", auth: "service" },
        obj: { kind: "outbox", key: `ipc-07/${EPOCH}` },
        payload: { from: "ipc-07", epoch: EPOCH },
      });
      expect(await parts.store.get(keys.gaps(machine.name, EPOCH))).toBeUndefined();
      expect(
        await parts.book.verify({ keyOf: (name) => (name === "ipc-07" ? machine.raw : service.raw) }),
      ).toMatchObject({ ok: true, signatures: { unknownKey: 0 } });
    });

    it("is filled from any side, and each event is booked once", async () => {
      await send([10], 10);
      expect(await statuses([9, 1, 5, 5, 4, 6])).toEqual(Array.from({ length: 6 }, () => "booked"));
      expect(gaps()).toHaveLength(1);
      await send([2, 3, 7, 8]);
      expect(gaps()).toEqual([
        ["gap.found", 1, 9, null],
        ["gap.closed", 1, 9, 0],
      ]);
      expect(parts.events("entry.created")).toHaveLength(10);
      // All of it once more changes nothing.
      const { size } = parts.book.head();
      await send([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      expect(parts.book.head().size).toBe(size);
    });

    it("is remembered over a restart, and several of one outbox are closed each by itself", async () => {
      await send([3], 3);
      await send([7], 7);
      await parts.store.close();
      await open();
      await send([4, 5, 6]);
      expect(gaps().slice(2)).toEqual([["gap.closed", 4, 6, 2]]);
      await send([1, 2]);
      expect(gaps().slice(3)).toEqual([["gap.closed", 1, 2, 0]]);
    });

    it("is not filled by what cannot be trusted, nor by a place that had its turn", async () => {
      await send([3], 3);
      const forged = { ...event(1), sig: event(2).sig };
      const reused = eventOf(machine, EPOCH, 3, { id: idOf(77) });
      const answer = await parts.intake.receive(machine.name, {
        v: 1,
        epoch: EPOCH,
        floor: 1,
        events: [forged, reused],
      });
      expect(answer.receipts.map(({ code }) => code)).toEqual(["bad_signature", "sequence_reused"]);
      expect(await statuses([1, 2])).toEqual(["booked", "booked"]);
      expect(gaps()).toEqual([
        ["gap.found", 1, 2, null],
        ["gap.closed", 1, 2, 0],
      ]);
    });

    it("costs no more than a bound, however its places are filled", async () => {
      await send([5001], 5001);
      const even = Array.from({ length: 1500 }, (_, index) => 2 * index + 2);
      const answers = [];
      for (let at = 0; at < even.length; at += 500) answers.push(...(await send(even.slice(at, at + 500))).receipts);
      // 999 in the middle make a thousand ranges; from then on only the ends of ranges are taken.
      expect(answers.filter(({ status }) => status === "booked")).toHaveLength(999);
      expect((await parts.store.get(keys.gaps(machine.name, EPOCH)))?.length).toBeLessThan(20_000);
    });
  });
}
