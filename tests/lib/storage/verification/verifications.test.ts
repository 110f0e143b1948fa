import { Writable } from "node:stream";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import type { VerifyReport } from "../../../../lib/contracts/book.ts";
import type { EventDraft } from "../../../../lib/contracts/events.ts";
import { verifyRegularly } from "../../../../lib/runtime/verify-regularly.ts";
import { createVerifications, type Verifications } from "../../../../lib/storage/verification/verifications.ts";
import { idOf, NOW } from "../../../suites/events.ts";

const CAUSE = { why: "request", actor: { sub: "ada", auth: "session" } } as const;

function report(given: Partial<VerifyReport> = {}): VerifyReport {
  return {
    ok: true,
    book: "audit",
    from: 0,
    size: 3,
    root: "0".repeat(64),
    damaged: [],
    damagedCount: 0,
    signatures: { checked: 3, unsigned: 0, unknownKey: 0 },
    startedAt: "2026-11-24T12:00:00.000Z",
    tookMs: 1,
    ...given,
  };
}

const DAMAGED = report({
  ok: false,
  damagedCount: 2,
  damaged: [{ seq: 7, kind: "altered", key: "72", expected: "a", found: "b" }],
});
const FOUND = "the last verification found 2 damaged places in 3 records, the first at record 7 (altered)";

/** Verifications of a book that gives these reports, one after the other, each when it is told to. */
function verificationsOf(results: (VerifyReport | Error)[]) {
  const told: EventDraft[] = [];
  const begun: { from: unknown; report(done: number, of: number): void; end: () => void }[] = [];
  const lines: { level: number; msg: string; why?: string }[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as (typeof lines)[number]);
      done();
    },
  });
  let held = false;
  const verifications = createVerifications({
    book: {
      async verify({ from, onProgress } = {}) {
        const next = results.shift();
        const { promise, resolve } = Promise.withResolvers<void>();
        begun.push({ from, report: (done, of) => onProgress?.(done, of), end: resolve });
        if (held) await promise;
        if (next === undefined || next instanceof Error) throw next ?? new Error("verified more often than expected");
        return next;
      },
    },
    keyOf: () => null,
    async tell(draft) {
      if (draft.payload["ok"] === false) throw new Error("the book takes no records");
      told.push(draft);
    },
    self: { name: "audit", now: () => NOW, tz: "America/Sao_Paulo" },
    newId: () => idOf(1),
    log: pino({}, stream),
  });
  return { verifications, told, begun, lines, hold: () => (held = true) };
}

describe("a verification", () => {
  it("is made once for all who ask while it runs, and told once, with what it read", async () => {
    const { verifications, told, begun } = verificationsOf([report()]);
    expect(verifications.last()).toBeNull();
    const [one, two] = await Promise.all([verifications.run(CAUSE), verifications.run(CAUSE, { from: 2 })]);
    expect(one).toBe(two);
    expect(begun).toHaveLength(1);
    expect(told.map(({ payload }) => payload)).toMatchObject([{ why: "request", ok: true, from: 0, size: 3 }]);
    expect(verifications.last()).toBe(true);
  });

  it("of the whole book waits for one of a part, which says less", async () => {
    const { verifications, begun, hold } = verificationsOf([report({ from: 2 }), report()]);
    hold();
    const part = verifications.run(CAUSE, { from: "last" });
    const whole = verifications.run(CAUSE);
    expect(begun.map(({ from }) => from)).toEqual(["last"]);
    begun[0]?.end();
    await part;
    await expect.poll(() => begun.length).toBe(2);
    begun[1]?.end();
    expect(await whole).toMatchObject({ from: 0 });
  });

  it("reports damage although a damaged book cannot put it on record", async () => {
    const { verifications, lines } = verificationsOf([DAMAGED]);
    expect(await verifications.run(CAUSE)).toBe(DAMAGED);
    expect(lines.map(({ msg }) => msg)).toEqual(["a verification could not be put on record"]);
    expect(verifications.last()).toBe(FOUND);
  });

  it("is said to have failed until one succeeds", async () => {
    const { verifications } = verificationsOf([new Error("the disk"), report()]);
    await expect(verifications.run(CAUSE)).rejects.toThrow("the disk");
    expect(verifications.last()).toMatch(/could not be carried out/);
    await verifications.run(CAUSE);
    expect(verifications.last()).toBe(true);
  });

  it("of what is new does not clear what the whole book was found to be", async () => {
    const { verifications } = verificationsOf([DAMAGED, report({ from: 2 }), report()]);
    await verifications.runScheduled("nightly");
    await verifications.runScheduled("hourly");
    expect(verifications.last()).toBe(FOUND);
    await verifications.runScheduled("nightly");
    expect(verifications.last()).toBe(true);
  });

  it("tells everybody who asked how far it has come", async () => {
    const { verifications, begun, hold } = verificationsOf([report()]);
    hold();
    const seen: string[] = [];
    const watch = (who: string) =>
      verifications.run(CAUSE, { onProgress: (done, of) => seen.push(`${who} ${done}/${of}`) });
    const both = ["a", "b"].map(watch);
    begun[0]?.report(2, 3);
    begun[0]?.end();
    expect(await Promise.all(both)).toEqual([report(), report()]);
    expect(seen).toEqual(["a 2/3", "b 2/3"]);
  });
});

describe("a scheduled verification", () => {
  it("puts damage and failure into the log as errors, and never throws", async () => {
    const { verifications, lines, begun } = verificationsOf([report(), DAMAGED, new Error("the disk")]);
    for (const why of ["nightly", "hourly", "nightly"] as const) await verifications.runScheduled(why);
    expect(begun.map(({ from }) => from)).toEqual([0, "last", 0]);
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
      [30, "the book verified"],
      [50, "a verification could not be put on record"],
      [50, "a verification found damage"],
      [50, "a scheduled verification failed"],
    ]);
  });

  it.each([
    ["02:30", 17],
    [null, null],
  ])("is planned in the zone of the plant and can be stopped: %s, minute %s", async (at, minute) => {
    const verify: Verifications["runScheduled"] = async () => expect.unreachable("nothing is due");
    const stop = verifyRegularly({ at, minute, tz: "America/Sao_Paulo", verify });
    await expect(stop()).resolves.toBeUndefined();
  });
});
