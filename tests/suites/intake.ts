import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Principal } from "../../lib/contracts/directory.ts";
import type { Event, Receipt, ReceiptBatch, SignedEvent } from "../../lib/contracts/events.ts";
import { Receipt as ReceiptSchema, SignedEvent as SignedEventSchema } from "../../lib/contracts/events.ts";
import { leafHash, sha256 } from "../../lib/ledger/hash.ts";
import { sign } from "../../lib/ledger/signature.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { createIntake, type Decision, type Intake, type IntakeOptions } from "../../lib/storage/intake/intake.ts";
import { keys } from "../../lib/storage/keys.ts";
import { Store } from "../../lib/storage/store/store.ts";
import type { Backend, Bed } from "./backends.ts";
import { eventOf, idOf, NOW, principalOf, type Signer, signedBy, signer } from "./events.ts";
import { FaultyDatabase } from "./faulty-database.ts";

const EPOCH = "0102030405060708";
const OTHER_EPOCH = "ffffffffffffffff";
const machine = signer("ipc-07");
const other = signer("ipc-08");
const device = signer("plc-01");
const service = signer("production");

/** What the taking in of events promises, whatever store the book lies on. */
export function intakeSuite(backend: Backend): void {
  describe(`an intake on ${backend.name}`, () => {
    let bed: Bed;
    let database: FaultyDatabase;
    let store: Store;
    let book: Book;
    let intake: Intake;
    let options: () => IntakeOptions;
    let decide: (event: Event) => Decision;
    let principals: Map<string, Principal>;

    beforeEach(async () => {
      bed = await backend.make();
      decide = () => booking({});
      principals = new Map([machine, other, service].map((one) => [one.name, principalOf(one)]));
      principals.set(device.name, principalOf(device, { publicKey: null, credential: "secret" }));
      await start();
    });

    afterEach(async () => {
      await store.close();
      await bed.remove();
    });

    const start = async () => {
      database = new FaultyDatabase(await bed.database());
      store = await Store.onDatabase(database, "the test's store");
      book = await Book.open({ store, name: "production", origin: "test/production" });
      let made = 0xabc000 + book.head().size;
      options = () => ({
        store,
        book,
        principalOf: (name) => principals.get(name),
        self: {
          name: "production",
          app: "production@0.1.0",
          sign: (bytes) => sign(service.privateKey, bytes),
          key: service.key,
          tz: "America/Sao_Paulo",
          now: () => NOW,
        },
        newId: () => idOf((made += 1)),
        decide: (_tx, event) => decide(event),
      });
      intake = createIntake(options());
    };
    const send = (events: readonly unknown[], o: { floor?: number; from?: string; epoch?: string } = {}) =>
      intake.receive(o.from ?? machine.name, {
        v: 1,
        epoch: o.epoch ?? EPOCH,
        floor: o.floor ?? 1,
        events: [...events],
      });
    const typesInBook = () => recordsOf(book).map(({ event }) => (event as Event).type);

    it("books events in order, as they were signed, and gives receipts for them", async () => {
      const events = range(1, 3).map((dseq) => eventOf(machine, EPOCH, dseq));
      const answer = await send(events);
      expect(answer).toMatchObject({ v: 1, epoch: EPOCH });
      expect(answer).not.toHaveProperty("resend");
      expect(answer.receipts.map(({ id, status, book, seq }) => ({ id, status, book, seq }))).toEqual(
        events.map(({ event }, seq) => ({ id: event.id, status: "booked", book: "production", seq })),
      );
      for (const [seq, { event, sig }] of events.entries()) {
        const record = book.open(seq);
        expect(record).toMatchObject({
          event,
          recv: new Date(NOW).toISOString(),
          sig: { by: "ipc-07", key: machine.key, value: sig },
          via: { kind: "outbox", name: "ipc-07", session: null },
        });
        expect(answer.receipts[seq]?.leaf).toBe(
          leafHash(Buffer.from(book.record(seq)?.bytes ?? "", "base64")).toString("hex"),
        );
      }
    });

    it("asks those whom it has not heard of as well, where it is told who there is", async () => {
      await send([eventOf(machine, EPOCH, 1)]);
      const senders = () => [
        ...[machine, other].map((one) => principalOf(one)),
        principalOf(device, { active: false }),
        principalOf(signer("plc-02"), { credential: "none" }),
        principalOf(signer("maria"), { kind: "person" }),
        principalOf(service, { kind: "service", profile: "service" }),
      ];
      const asking = createIntake({ ...options(), senders });
      expect(await asking.due()).toEqual([
        { kind: "machine", name: machine.name, epoch: EPOCH, next: 2 },
        { kind: "machine", name: other.name, epoch: "0".repeat(16), next: 1 },
        { kind: "service", name: service.name, epoch: "0".repeat(16), next: 1 },
      ]);
    });

    it("knows what an outbox that was restored tells again under a new epoch, and goes on from there", async () => {
      const first = await send(range(1, 3).map((dseq) => eventOf(machine, EPOCH, dseq)));
      const renewed = (dseq: number) => eventOf(machine, OTHER_EPOCH, dseq);
      const again = await send([renewed(1), renewed(2)], { epoch: OTHER_EPOCH });
      expect(again.receipts).toEqual(first.receipts.slice(0, 2));
      const next = await send([renewed(3), renewed(4)], { epoch: OTHER_EPOCH });
      expect(next).not.toHaveProperty("resend");
      expect(next.receipts.map(({ status, seq }) => [status, seq])).toEqual([
        ["booked", 2],
        ["booked", 3],
      ]);
      // What differs in more than its place is another event.
      const other = await send([eventOf(machine, OTHER_EPOCH, 5, { id: idOf(1), payload: { good: 9 } })], {
        epoch: OTHER_EPOCH,
      });
      expect(other.receipts[0]).toMatchObject({ status: "quarantined", code: "id_conflict" });
    });

    it("knows what is due next from whom, also after a restart", async () => {
      const second = "f000000000000002";
      await send([eventOf(machine, EPOCH, 1), eventOf(machine, EPOCH, 2)]);
      await send([eventOf(other, EPOCH, 1, { id: idOf(11) })], { from: other.name });
      await send([eventOf(machine, second, 1, { id: idOf(12) })], { epoch: second });
      const due = [
        { kind: "machine", name: machine.name, epoch: EPOCH, next: 3 },
        { kind: "machine", name: machine.name, epoch: second, next: 2 },
      ];
      expect(await intake.due()).toEqual([...due, { kind: "machine", name: other.name, epoch: EPOCH, next: 2 }]);
      await store.close();
      principals.set(other.name, principalOf(other, { active: false }));
      await start();
      expect(await intake.due()).toEqual(due);
    });

    it("lets the service decide, and write in the same stage", async () => {
      const view = Buffer.from("v/last");
      decide = ({ id }) =>
        booking({ role: "machine", rev: 1, flags: ["late"] }, (tx, booked) =>
          tx.put(view, Buffer.from(`${id} ${booked.seq}`)),
        );
      await send([eventOf(machine, EPOCH, 1)]);
      expect((await store.get(view))?.toString()).toBe(`${idOf(1)} 0`);
      expect(book.open(0)?.added).toMatchObject({ result: "booked", role: "machine", rev: 1, flags: ["late"] });
    });

    it("gives a refusal its receipt with the reason", async () => {
      decide = () => booking({ result: "refused", code: "unknown_machine" });
      const answer = await send([eventOf(machine, EPOCH, 1)]);
      expect(answer.receipts).toMatchObject([{ status: "refused", code: "unknown_machine", seq: 0 }]);
      expect(await send([eventOf(machine, EPOCH, 1)])).toEqual(answer);
    });

    it("takes unsigned events of a device that has no key, and says so", async () => {
      const seen: boolean[] = [];
      const unsigned = { ...eventOf(device, EPOCH, 1), sig: null };
      intake = createIntake({
        ...intakeOptions(),
        decide: (_tx, _event, { unsigned }) => (seen.push(unsigned), booking({})),
      });
      await send([unsigned], { from: device.name });
      await send([eventOf(machine, EPOCH, 1, { id: idOf(2) })]);
      expect(seen).toEqual([true, false]);
      expect(book.open(0)?.sig).toBeNull();
    });

    describe("an event that comes again", () => {
      it("gets its original receipt, in the same batch and in another", async () => {
        const events = [1, 1, 2, 1].map((dseq) => eventOf(machine, EPOCH, dseq));
        const answer = await send(events);
        expect(answer.receipts.map(({ seq }) => seq)).toEqual([0, 0, 1, 0]);
        expect(await send(events)).toEqual(answer);
        expect(book.head().size).toBe(2);
      });

      it("gets it after a restart, and after the sender's key was changed", async () => {
        const answer = await send([eventOf(machine, EPOCH, 1)]);
        await store.close();
        await start();
        principals.set(machine.name, { ...principalOf(machine), publicKey: other.raw.toString("base64") });
        expect(await send([eventOf(machine, EPOCH, 1)])).toEqual(answer);
      });

      it("with other bytes is set apart as a conflict", async () => {
        await send([eventOf(machine, EPOCH, 1)]);
        const answer = await send([eventOf(machine, EPOCH, 1, { payload: { good: 999 } })]);
        expect(answer.receipts).toMatchObject([{ id: idOf(1), status: "quarantined", code: "id_conflict", seq: 1 }]);
        expect(book.open(0)).toMatchObject({ event: { payload: { good: 1 } } });
      });

      it("with a number that had its turn, and another id, is set apart", async () => {
        await send([eventOf(machine, EPOCH, 1), eventOf(machine, EPOCH, 2)]);
        const answer = await send([eventOf(machine, EPOCH, 2, { id: idOf(77) })]);
        expect(answer.receipts).toMatchObject([{ id: idOf(77), status: "quarantined", code: "sequence_reused" }]);
      });
    });

    describe("an event that cannot be trusted", () => {
      const good = eventOf(machine, EPOCH, 1);
      it.each<[string, string, unknown]>([
        ["fits no schema", "schema", { ...good, event: { ...good.event, more: 1 } }],
        ["is no event at all", "schema", "hello"],
        ["is nothing", "schema", null],
        ["has a fraction in it", "schema", signedLoosely(machine, { ...good.event, payload: { good: 0.5 } })],
        ["is nested without end", "schema", { ...good, event: nested(5000) }],
        ["is nested so deep that it cannot be written", "schema", nested(200_000)],
        ["has such a signature", "schema", { ...good, sig: nested(200_000) }],
        ["is of an outbox of another epoch", "schema", eventOf(machine, OTHER_EPOCH, 1)],
        ["is of no outbox", "schema", signedBy(machine, { ...good.event, src: { ...good.event.src, outbox: null } })],
        ["names another sender", "not_spoken_for", eventOf(other, EPOCH, 1)],
        ["is of a kind that another book owns", "wrong_owner", eventOf(machine, EPOCH, 1, { type: "user.added" })],
        [
          "is of a kind that only a book's own service makes",
          "wrong_owner",
          eventOf(machine, EPOCH, 1, { type: "gap.found" }),
        ],
        ["has another's signature", "bad_signature", { ...good, sig: eventOf(machine, EPOCH, 2).sig }],
        ["has no signature", "bad_signature", { ...good, sig: null }],
        [
          "was changed after it was signed",
          "bad_signature",
          { ...good, event: { ...good.event, payload: { good: 2 } } },
        ],
      ])("is set apart where it %s", async (_name, code, raw) => {
        const answer = await send([raw]);
        const [receipt] = answer.receipts as [Receipt];
        expect(ReceiptSchema.safeParse(receipt).success).toBe(true);
        expect(receipt).toMatchObject({ status: "quarantined", code, seq: 0 });
        const record = book.open(0);
        expect(record).toMatchObject({
          event: {
            type: "event.quarantined",
            actor: { sub: "production", auth: "service" },
            payload: { from: "ipc-07", code, id: receipt.id },
          },
          sig: { by: "production", key: service.key },
          via: { kind: "internal", name: "production" },
          added: { result: "quarantined", code },
        });
        expect(SignedEventSchema.safeParse({ event: record?.event, sig: record?.sig?.value }).success).toBe(true);
        expect(await book.verify({ keyOf: () => service.raw })).toMatchObject({ ok: true, signatures: { checked: 1 } });
      });

      it("is kept as it came, once, and gets the same receipt again", async () => {
        const raw = { ...good, sig: null };
        const answer = await send([raw]);
        expect(await send([raw])).toEqual(answer);
        expect(book.head().size).toBe(1);
        const bytes = Buffer.from(JSON.stringify(raw));
        expect((await store.get(keys.quarantine(sha256(bytes))))?.subarray(8)).toEqual(bytes);
      });

      it("has its turn, so that those behind it are not held up", async () => {
        const bad = { ...eventOf(machine, EPOCH, 2), sig: null };
        const answer = await send([eventOf(machine, EPOCH, 1), bad, eventOf(machine, EPOCH, 3)]);
        expect(answer.receipts.map(({ status }) => status)).toEqual(["booked", "quarantined", "booked"]);
        expect(answer).not.toHaveProperty("resend");
      });

      it("has the turn that its neighbours leave, where it names none", async () => {
        const answer = await send([{}, eventOf(machine, EPOCH, 2), { event: {} }, "x", eventOf(machine, EPOCH, 5)]);
        expect(answer.receipts.map(({ status }) => status)).toEqual([
          "quarantined",
          "booked",
          "quarantined",
          "quarantined",
          "booked",
        ]);
        expect((await send([eventOf(machine, EPOCH, 6)])).receipts).toMatchObject([{ status: "booked" }]);
      });

      it("is found by its id, or by the hash of its bytes where it has none", async () => {
        const { receipts } = await send([{ event: { id: "my-id" } }, { event: { id: "x".repeat(65) } }, []]);
        expect(receipts[0]?.id).toBe("my-id");
        expect(receipts[1]?.id).toBe(sha256(Buffer.from(`{"event":{"id":"${"x".repeat(65)}"}}`)).toString("hex"));
        expect(receipts[2]?.id).toBe(sha256(Buffer.from("[]")).toString("hex"));
      });

      it("is set apart where its record would be too large", async () => {
        decide = () => booking({ after: "x".repeat(70_000) });
        const answer = await send([eventOf(machine, EPOCH, 1)]);
        expect(answer.receipts).toMatchObject([{ status: "quarantined", code: "schema" }]);
        decide = () => booking({});
        expect((await send([eventOf(machine, EPOCH, 2)])).receipts).toMatchObject([{ status: "booked" }]);
      });

      it("does not stop anything by a lone surrogate or a key named __proto__", async () => {
        const raw = JSON.parse('{"event":{"id":"\\ud800","__proto__":{"polluted":true}},"sig":null}') as unknown;
        expect((await send([raw])).receipts).toMatchObject([{ status: "quarantined", code: "schema" }]);
        expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
        expect(await book.verify()).toMatchObject({ ok: true });
      });
    });

    describe("an event out of its turn", () => {
      it("that comes too early is not booked, and the missing ones are asked for", async () => {
        await send([eventOf(machine, EPOCH, 1)]);
        const answer = await send([eventOf(machine, EPOCH, 3), eventOf(machine, EPOCH, 4), "junk"]);
        expect(answer).toEqual({ v: 1, epoch: EPOCH, receipts: [], resend: { from: 2 } });
        expect(book.head().size).toBe(1);
      });

      it("ends a batch there, with receipts for what came before", async () => {
        const answer = await send([1, 2, 4, 5].map((dseq) => eventOf(machine, EPOCH, dseq)));
        expect(answer.receipts.map(({ id }) => id)).toEqual([idOf(1), idOf(2)]);
        expect(answer.resend).toEqual({ from: 3 });
      });

      it("is booked where those before it are lost for good, with a record of the gap", async () => {
        await send([eventOf(machine, EPOCH, 1)]);
        const answer = await send([eventOf(machine, EPOCH, 5), eventOf(machine, EPOCH, 6)], { floor: 5 });
        expect(answer.receipts.map(({ seq }) => seq)).toEqual([2, 3]);
        expect(book.open(1)).toMatchObject({
          event: {
            type: "gap.found",
            obj: { kind: "outbox", key: `ipc-07/${EPOCH}` },
            payload: { from: "ipc-07", epoch: EPOCH, first: 2, last: 4 },
          },
          sig: { by: "production" },
          via: { kind: "internal" },
        });
        expect(await send([eventOf(machine, EPOCH, 7)], { floor: 5 })).not.toHaveProperty("resend");
        expect(typesInBook().filter((type) => type === "gap.found")).toHaveLength(1);
      });

      it("is booked first of an outbox that has forgotten its beginning, with a record of the gap", async () => {
        await send([eventOf(machine, EPOCH, 9)], { floor: 9 });
        expect(book.open(0)).toMatchObject({ event: { type: "gap.found", payload: { first: 1, last: 8 } } });
      });

      it("is counted for each outbox by itself", async () => {
        const answers = [
          await send([eventOf(machine, EPOCH, 1)]),
          await send([eventOf(other, EPOCH, 1, { id: idOf(101) })], { from: other.name }),
          await send([eventOf(machine, OTHER_EPOCH, 1, { id: idOf(102) })], { epoch: OTHER_EPOCH }),
        ];
        expect(answers.map(({ receipts }) => receipts[0]?.status)).toEqual(["booked", "booked", "booked"]);
      });
    });

    describe("a sender whose name is no good", () => {
      it.each([
        ["unknown", "unknown_name", undefined],
        ["no longer active", "not_allowed", { active: false }],
        ["a person", "not_allowed", { kind: "person" as const }],
      ])("is answered by nothing: %s", async (_name, code, change) => {
        if (change === undefined) principals.delete(machine.name);
        else principals.set(machine.name, principalOf(machine, change));
        await expect(send([eventOf(machine, EPOCH, 1)])).rejects.toMatchObject({ code });
        expect(book.head().size).toBe(0);
      });
    });

    describe("a failure", () => {
      it.each(["not-written", "written"] as const)(
        "of a batch that was %s gives no receipts, and the events come again",
        async (fault) => {
          const events = range(1, 3).map((dseq) => eventOf(machine, EPOCH, dseq));
          database.faults.push(fault);
          await expect(send(events)).rejects.toMatchObject({ code: "store_unusable" });
          const answer = await send(events);
          expect(answer.receipts.map(({ seq, status }) => [seq, status])).toEqual([
            [0, "booked"],
            [1, "booked"],
            [2, "booked"],
          ]);
          expect(book.head().size).toBe(3);
        },
      );

      it("of the service's own code holds up its event, and those before it get their receipts", async () => {
        decide = ({ id }) => {
          if (id === idOf(2)) throw new Error("a fault");
          return booking({});
        };
        const events = range(1, 3).map((dseq) => eventOf(machine, EPOCH, dseq));
        const answer = await send(events);
        expect(answer.receipts.map(({ id }) => id)).toEqual([idOf(1)]);
        expect(answer).not.toHaveProperty("resend");
        await expect(send(events.slice(1))).rejects.toThrow("a fault");
        decide = () => booking({});
        expect((await send(events)).receipts.map(({ seq }) => seq)).toEqual([0, 1, 2]);
      });
    });

    it("books each event once and in order, whatever is lost, repeated or reordered on the way", async () => {
      let run = 0;
      const noise = fc.array(fc.record({ at: fc.nat({ max: 39 }), length: fc.integer({ min: 1, max: 12 }) }), {
        maxLength: 12,
      });
      await fc.assert(
        fc.asyncProperty(noise, fc.integer({ min: 1, max: 40 }), async (fragments, count) => {
          const epoch = (run += 1).toString(16).padStart(16, "0");
          const base = run * 1000;
          const events = range(1, count).map((dseq) => eventOf(machine, epoch, dseq, { id: idOf(base + dseq) }));
          const before = book.head().size;
          for (const { at, length } of fragments) {
            const fragment = events.slice(at % count, (at % count) + length);
            if (fragment.length > 0) await send(fragment, { epoch });
          }
          await sendAsAsked(events, epoch);
          const booked = recordsOf(book, before).map(({ event }) => (event as Event).src.outbox?.dseq);
          expect(booked).toEqual(range(1, count));
          // All of it once more changes nothing.
          const again = await send(events, { epoch });
          expect(again.receipts.map(({ seq }) => seq)).toEqual(range(before, count));
        }),
        { numRuns: 15 },
      );
      expect(await book.verify({ keyOf: () => machine.raw })).toMatchObject({ ok: true });
    });

    /** A sender that starts at the end and goes where it is asked to. */
    async function sendAsAsked(events: readonly SignedEvent[], epoch: string): Promise<void> {
      let answer: ReceiptBatch = await send(events.slice(-1), { epoch });
      for (let tries = 0; answer.resend !== undefined && tries < 50; tries += 1) {
        answer = await send(events.slice(answer.resend.from - 1), { epoch });
      }
      expect(answer).not.toHaveProperty("resend");
    }

    function intakeOptions(): Parameters<typeof createIntake>[0] {
      return {
        store,
        book,
        principalOf: (name) => principals.get(name),
        self: { name: "production", app: "production@0.1.0", sign: null, key: "", tz: "UTC", now: () => NOW },
        newId: () => idOf(0xddd),
        decide: () => booking({}),
      };
    }
  });
}

function booking(added: Partial<Decision["added"]>, write?: Decision["write"]): Decision {
  const whole = {
    result: "booked" as const,
    code: null,
    role: null,
    rev: null,
    before: null,
    after: null,
    flags: [],
    ...added,
  };
  return { added: whole, ...(write && { write }) };
}

function recordsOf(book: Book, first = 0): { event: unknown }[] {
  return range(first, book.head().size - first).map((seq) => book.open(seq) as { event: unknown });
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

function nested(depth: number): unknown {
  return JSON.parse("[".repeat(depth) + "]".repeat(depth));
}

/** Signs what has no canonical form, as careless software would. */
function signedLoosely(by: Signer, event: unknown): unknown {
  return { event, sig: sign(by.privateKey, Buffer.from(JSON.stringify(event))) };
}
