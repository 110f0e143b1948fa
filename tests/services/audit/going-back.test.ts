import { v7 } from "uuid";
import { describe, expect, it, vi } from "vitest";
import { topics } from "../../../lib/contracts/topics.ts";
import { parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { hostOf, openWitnessedPlant, reason, WAIT } from "../../support/witnessed-plant.ts";

/* Both books on a real hub, put back to an older state or gone on with another history. */

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
});
