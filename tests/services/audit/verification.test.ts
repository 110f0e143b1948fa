import { Writable } from "node:stream";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import type { VerifyReport } from "../../../lib/contracts/book.ts";
import { verifyNightly, verifyOnce } from "../../../services/audit/nightly.ts";
import { createVerification } from "../../../services/audit/verification.ts";
import { SILENT } from "../../support/silent.ts";

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

function linesOf() {
  const lines: { level: number; msg: string }[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as (typeof lines)[number]);
      done();
    },
  });
  return { log: pino({}, stream), lines };
}

function verificationOf(results: (VerifyReport | Error)[]) {
  const told: [boolean, string][] = [];
  const untold: unknown[] = [];
  const verification = createVerification({
    async verify() {
      const next = results.shift();
      if (next === undefined || next instanceof Error) throw next ?? new Error("verified more often than expected");
      return next;
    },
    async tell(result, cause) {
      if (!result.ok) throw new Error("the book takes no records");
      told.push([result.ok, cause.why]);
    },
    onUntold: (error) => untold.push(error),
  });
  return { verification, told, untold };
}

describe("a verification", () => {
  it("is made once for all who ask while it runs, and told once", async () => {
    const { verification, told } = verificationOf([report()]);
    expect(verification.last()).toBeNull();
    const [one, two] = await Promise.all([verification.run(CAUSE), verification.run(CAUSE)]);
    expect(one).toBe(two);
    expect(told).toEqual([[true, "request"]]);
    expect(verification.last()).toBe(true);
  });

  it("reports damage although a damaged book cannot put it on record", async () => {
    const { verification, untold } = verificationOf([DAMAGED]);
    expect(await verification.run(CAUSE)).toBe(DAMAGED);
    expect(untold).toHaveLength(1);
    expect(verification.last()).toBe(
      "the last verification found 2 damaged places in 3 records, the first at record 7 (altered)",
    );
  });

  it("is said to have failed until one succeeds", async () => {
    const { verification } = verificationOf([new Error("the disk"), report()]);
    await expect(verification.run(CAUSE)).rejects.toThrow("the disk");
    expect(verification.last()).toMatch(/could not be carried out/);
    await verification.run(CAUSE);
    expect(verification.last()).toBe(true);
  });
});

describe("the nightly verification", () => {
  it("puts damage and failure into the log as errors, and never throws", async () => {
    const { verification } = verificationOf([report(), DAMAGED, new Error("the disk")]);
    const { log, lines } = linesOf();
    for (let night = 0; night < 3; night++) await verifyOnce({ verification, log });
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
      [30, "the book verified"],
      [50, "the nightly verification found damage"],
      [50, "the nightly verification failed"],
    ]);
  });

  it("is planned in the zone of the plant and can be stopped", async () => {
    const { verification } = verificationOf([]);
    const stop = verifyNightly({ at: "02:30", tz: "America/Sao_Paulo", verification, log: SILENT });
    await expect(stop()).resolves.toBeUndefined();
  });
});

it("everybody who asked is told how far the one verification has come", async () => {
  const seen: string[] = [];
  let go = () => {};
  const verification = createVerification({
    verify: async (onProgress) => {
      await new Promise<void>((resolve) => (go = resolve));
      onProgress(2, 3);
      return report();
    },
    tell: async () => undefined,
    onUntold: () => expect.unreachable("it was told"),
  });
  const both = ["a", "b"].map((who) => verification.run(CAUSE, (done, size) => seen.push(`${who} ${done}/${size}`)));
  go();
  expect(await Promise.all(both)).toEqual([report(), report()]);
  expect(seen).toEqual(["a 2/3", "b 2/3"]);
});
