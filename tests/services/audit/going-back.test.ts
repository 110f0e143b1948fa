import { v7 } from "uuid";
import { describe, expect, it, vi } from "vitest";
import type { RestoredMark, StoreName } from "../../../lib/contracts/backup.ts";
import { topics } from "../../../lib/contracts/topics.ts";
import { parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { hostOf, openWitnessedPlant, reason, WAIT } from "../../support/witnessed-plant.ts";

/* Both books on a real hub, put back to an older state or gone on with another history. */

/** Word of a restore of an older backup that was told to be older on purpose. */
function olderOnPurpose(store: StoreName, from: number, to: number): RestoredMark {
  const at = new Date().toISOString();
  const root = "0".repeat(64);
  return {
    v: 1,
    state: "done",
    event: v7(),
    store,
    at,
    backup: "20261124T010000000Z.rastro-backup",
    madeAt: at,
    from: { size: from, root },
    to: { size: to, root },
    older: true,
    by: "tester",
    reason: reason.text,
    aside: null,
  };
}

describe("a book that is not what its witnesses have seen", () => {
  it("does not go on with an older copy of itself until an administrator accepts the loss", async () => {
    const { admin, running, begin, list, rowsOf, cosigning, goOnCosigned, putCopyBack } = await openWitnessedPlant();
    await begin();
    const one = await cosigning("ipc-01");
    const seen = await goOnCosigned(one);
    await putCopyBack();

    const audit = await begin();
    const { size: left } = audit.book.head();
    expect(audit.checks["book"]?.()).toMatch(
      new RegExp(`has ${left} records and .*ipc-01 has seen ${seen}.*rastro backup restore`),
    );
    expect((await list()).books[0]?.troubles.join()).toMatch(/ipc-01 has seen/);
    await expect(admin.call("audit", "witness-remove", { event: v7(), name: "ipc-01", reason })).rejects.toMatchObject({
      code: "book_behind",
    });
    await running.close();
    await begin();
    expect(running.audit?.checks["book"]?.()).toMatch(/it is behind/);

    await admin.call("audit", "accept-loss", { event: v7(), book: "audit", reason });
    expect(running.audit?.checks["book"]?.()).toBe(true);
    expect(await rowsOf("witness.log-behind")).toHaveLength(1);
    expect((await rowsOf("book.loss-accepted"))[0]).toMatchObject({
      text: reason.text,
      record: { event: { payload: { book: "audit", size: left } } },
    });
  });

  it("goes on at once when the restore said that it is older, unless a witness has seen more than that knew", async () => {
    const { hub, running, begin, rowsOf, cosigning, goOnCosigned, putCopyBack } = await openWitnessedPlant();
    await begin();
    const one = await cosigning("ipc-01");
    const seen = await goOnCosigned(one);
    await putCopyBack();
    const audit = await begin({}, olderOnPurpose("audit", seen, 1));
    expect(audit.checks["book"]?.()).toBe(true);
    expect(await rowsOf("book.restored")).toHaveLength(1);
    await hub.addMachine("press-03");
    await vi.waitFor(async () => expect(await rowsOf("machine.added")).toHaveLength(4), WAIT);
    expect(audit.checks["book"]?.()).toBe(true);
    await running.close();
    expect((await begin()).checks["book"]?.()).toBe(true);
    for (const none of ["witness.log-behind", "book.loss-accepted"]) expect(await rowsOf(none), none).toEqual([]);
    await running.close();

    await putCopyBack();
    const unknown = await begin({}, olderOnPurpose("audit", seen - 1, 1));
    expect(unknown.checks["book"]?.()).toMatch(new RegExp(`ipc-01 has seen ${seen}: it is behind`));
  });

  it("starts while nobody is in reach, and stops as soon as one comes that has seen more", async () => {
    const { hub, admin, begin, list, cosigning, goOnCosigned, putCopyBack, forgetCheckpoint } =
      await openWitnessedPlant();
    await begin();
    const one = await cosigning("ipc-01");
    await goOnCosigned(one);
    await putCopyBack();
    await one.online(false);
    one.beSilent(true);
    await forgetCheckpoint();

    const audit = await begin();
    expect(audit.checks["book"]?.()).toBe(true);
    await vi.waitFor(async () => expect((await list()).books[0]?.size).toBe(audit.book.head().size), WAIT);
    one.beSilent(false);
    await one.online(true);
    await vi.waitFor(() => expect(audit.checks["book"]?.()).toMatch(/ipc-01 has seen \d+: it is behind/), WAIT);
    const signed = (await admin.call("audit", "book-checkpoint", {})).note;
    await hub.addMachine("press-09");
    await vi.waitFor(() => expect(audit.witnessing.troubles.open("witness.log-behind")).toHaveLength(1), WAIT);
    expect((await admin.call("audit", "book-checkpoint", {})).note).toBe(signed);
  });

  it("goes on though a witness says that it has seen more, and puts on record who cannot prove it", async () => {
    const { hub, running, begin, witness, rowsOf, cosigners } = await openWitnessedPlant();
    await begin();
    const [honest, liar] = [await witness("ipc-01", hostOf(1)), await witness("ipc-02", hostOf(2))];
    for (const one of [honest, liar]) {
      await one.online(true);
      await one.offer();
    }
    await vi.waitFor(async () => expect(await cosigners("audit", [honest.key, liar.key])).toBe(2), WAIT);
    liar.lie({ status: 409, size: 9_999, note: liar.note("audit") });
    await hub.addMachine("press-01");
    await vi.waitFor(async () => expect(await rowsOf("witness.unproven")).toHaveLength(1), WAIT);
    const [{ record } = { record: null }] = await rowsOf("witness.unproven");
    expect(record?.event).toMatchObject({ obj: { kind: "witness", key: "ipc-02" }, payload: { book: "audit" } });
    expect(running.audit?.checks["book"]?.()).toBe(true);

    await running.close();
    const audit = await begin();
    expect(audit.checks["book"]?.()).toBe(true);
    await hub.addMachine("press-02");
    await vi.waitFor(async () => expect(await rowsOf("machine.added")).toHaveLength(4), WAIT);
    const { size } = audit.book.head();
    await vi.waitFor(() => expect(honest.size("audit")).toBeGreaterThanOrEqual(size), WAIT);
    expect(audit.witnessing.troubles.open().map(({ type }) => type)).toEqual(["witness.unproven"]);
    liar.lie(null);
    await liar.online(true);
    await vi.waitFor(async () => expect(await rowsOf("witness.unproven-ended")).toHaveLength(1), WAIT);
  });

  it("tells both notes of a contradiction: the one that a witness cosigned, and the one that it was asked for", async () => {
    const { hub, admin, begin, rowsOf, cosigning, goOnCosigned, putCopyBack, goOnByItself } =
      await openWitnessedPlant();
    await begin();
    const one = await cosigning("ipc-01");
    const cosigned = await goOnCosigned(one);
    await putCopyBack();
    await goOnByItself(cosigned + 2);
    const audit = await begin();
    const [conflict] = await vi.waitUntil(() => {
      const open = audit.witnessing.troubles.open("witness.conflict");
      return open.some(({ notes }) => notes?.held) && open;
    }, WAIT);
    const held = parseCheckpoint(conflict?.notes?.held ?? "");
    const offered = parseCheckpoint(conflict?.notes?.offered ?? "");
    expect(held.head.size).toBe(cosigned);
    expect(offered.head.size).toBeGreaterThanOrEqual(cosigned + 2);
    expect(audit.checks["book"]?.()).toBe(true);

    // Whoever was not let in is not believed without a proof.
    const stranger = await hub.addMachine("press-66");
    const link = await hub.link(stranger.name, stranger.password);
    const seen = (await admin.call("audit", "book-checkpoint", {})).note ?? "";
    const since = new Date().toISOString();
    const alarm = {
      v: 1,
      alarm: "inconsistent",
      origin: offered.head.origin,
      since,
      message: "No.",
      cosigned: null,
      seen,
    };
    await link.publish(topics.witnessAlarm(stranger.name, "audit"), JSON.stringify(alarm), { qos: 1, retain: true });

    await one.link.publish(topics.witnessAlarm("ipc-01", "audit"), "", { qos: 1, retain: true });
    await vi.waitFor(async () => expect(await rowsOf("witness.conflict-ended")).toHaveLength(1), WAIT);
    const accusers = (await rowsOf("witness.conflict")).map(({ record }) => record.event.obj.key);
    expect(new Set(accusers)).toEqual(new Set(["ipc-01"]));
  });

  it("stops production's book too, and lets it go on once the loss is accepted", async () => {
    const { hub, admin, begin, beginProduction, list, rowsOf } = await openWitnessedPlant();
    await begin();
    const first = await beginProduction();
    const fields = { machine: "press-01", lot: "L-1", good: 5 };
    const entry = () => ({ id: v7(), at: new Date().toISOString(), tz: "UTC", fields });
    await hub.addMachine("press-01");
    await vi.waitFor(() => admin.call("production", "entry-add", entry()), WAIT);
    await vi.waitFor(async () => expect((await list()).books[1]?.size).toBe(1), WAIT);
    await first.close();

    const second = await beginProduction();
    await vi.waitFor(
      () => expect(second.checks["book"]?.()).toMatch(/has 0 records and the audit service has seen 1/),
      WAIT,
    );
    await expect(admin.call("production", "entry-add", entry())).rejects.toMatchObject({ code: "book_behind" });
    await vi.waitFor(async () => expect(await rowsOf("witness.log-behind")).toHaveLength(1), WAIT);

    await admin.call("audit", "accept-loss", { event: v7(), book: "production", reason });
    expect(second.checks["book"]?.()).toBe(true);
    await vi.waitFor(async () => expect(await rowsOf("witness.log-caught-up")).toHaveLength(1), WAIT);
    await admin.call("production", "entry-add", entry());
    await expect(admin.call("audit", "accept-loss", { event: v7(), book: "production", reason })).rejects.toMatchObject(
      {
        code: "not_behind",
      },
    );
  });

  it("lets production's book go on that was restored to be older on purpose", async () => {
    const { hub, admin, begin, beginProduction, list, rowsOf } = await openWitnessedPlant();
    await begin();
    const first = await beginProduction();
    const fields = { machine: "press-01", lot: "L-1", good: 5 };
    const add = () =>
      admin.call("production", "entry-add", { id: v7(), at: new Date().toISOString(), tz: "UTC", fields });
    await hub.addMachine("press-01");
    await vi.waitFor(add, WAIT);
    for (let n = 0; n < 4; n += 1) await add();
    await vi.waitFor(async () => expect((await list()).books[1]?.size).toBe(5), WAIT);
    await first.close();

    const second = await beginProduction(olderOnPurpose("production", 5, 0));
    // By then its first checkpoint has been compared with the larger one.
    await vi.waitFor(add, WAIT);
    await vi.waitFor(async () => expect((await list()).books[1]?.size).toBe(2), WAIT);
    await vi.waitFor(async () => {
      expect(second.checks["book"]?.()).toBe(true);
      expect((await list()).books[1]?.troubles).toEqual([]);
    }, WAIT);
    await add();
    expect(await rowsOf("book.loss-accepted")).toEqual([]);
  });
});
