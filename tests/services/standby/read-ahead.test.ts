import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readAhead } from "../../../services/standby/read-ahead.ts";

/** Record n as bytes. */
const record = (n: number) => Buffer.from([n]);

describe("reading ahead", () => {
  it("gives every record once and in order, whatever fits into an answer", async () => {
    const asked = fc.record({
      from: fc.nat(20),
      count: fc.nat(60),
      limit: fc.integer({ min: 1, max: 20 }),
      inFlight: fc.integer({ min: 1, max: 5 }),
      fits: fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1 }),
    });
    const reading = fc.asyncProperty(asked, async ({ from, count, limit, inFlight, fits }) => {
      let asking = 0;
      let most = 0;
      let turn = 0;
      const fetch = async (first: number, wanted: number) => {
        most = Math.max(most, ++asking);
        const answered = Math.min(wanted, fits[turn++ % fits.length] as number);
        for (let wait = turn % 4; wait > 0; wait -= 1) await Promise.resolve();
        asking -= 1;
        return Array.from({ length: answered }, (_, index) => record(first + index));
      };
      const got: number[] = [];
      for await (const page of readAhead({ from, to: from + count, fetch, inFlight, limit })) {
        got.push(...page.map((bytes) => bytes[0] as number));
      }
      expect(got).toEqual(Array.from({ length: count }, (_, index) => from + index));
      expect(most).toBeLessThanOrEqual(inFlight);
    });
    await fc.assert(reading, { numRuns: 200 });
  });

  it("asks for no more while what came is not taken", async () => {
    const asked: number[] = [];
    const fetch = async (from: number, limit: number) => {
      asked.push(from);
      return Array.from({ length: limit }, (_, index) => record(from + index));
    };
    const pages = readAhead({ from: 0, to: 100, fetch, inFlight: 3, limit: 10 });
    await pages.next();
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toEqual([0, 10, 20]);
    await pages.next();
    expect(asked).toEqual([0, 10, 20, 30]);
    await pages.return();
    expect(asked).toEqual([0, 10, 20, 30]);
  });

  it("ends with the first page that fails, and with an answer that has nothing or too much", async () => {
    const failing = readAhead({
      from: 0,
      to: 9,
      fetch: () => Promise.reject(new Error("gone")),
      inFlight: 3,
      limit: 2,
    });
    await expect(failing.next()).rejects.toThrow("gone");
    for (const answer of [[], [record(0), record(1), record(2)]]) {
      const pages = readAhead({ from: 0, to: 2, fetch: async () => answer, inFlight: 1, limit: 2 });
      await expect(pages.next()).rejects.toThrow(/asked for 2 records from 0 on/);
    }
  });
});
