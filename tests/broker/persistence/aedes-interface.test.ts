import assert from "node:assert";
import { createRequire } from "node:module";
import { afterAll, describe, expect, it } from "vitest";
import { openPersistence } from "../../../broker/persistence/persistence.ts";
import { BACKENDS, type Bed } from "../../suites/backends.ts";

/* The suite that Aedes's authors wrote for every persistence, run by vitest on both of our backends. */

type Asserts = Record<string, (...given: unknown[]) => void>;
type SuiteTest = { plan(count: number): void; diagnostic(text: string): void; assert: Asserts };
type Suite = (o: {
  test: (name: string, run: (t: SuiteTest) => Promise<void>) => void;
  persistence: () => Promise<unknown>;
  testAsync: true;
}) => void;

const suite = createRequire(import.meta.url)("aedes-persistence/abstract.js") as Suite;

describe.each(BACKENDS)("Aedes's own suite on $name", ({ make }) => {
  const beds: Bed[] = [];
  afterAll(() => Promise.all(beds.map((bed) => bed.remove())));

  suite({
    testAsync: true,
    test(name, run) {
      // oxlint-disable-next-line vitest/valid-title -- the suite names its tests
      it(name, async () => {
        let planned: number | null = null;
        let checked = 0;
        const counting =
          (check: (...given: unknown[]) => void) =>
          (...given: unknown[]) => {
            checked += 1;
            check(...given);
          };
        const asserts = Object.entries(assert as unknown as Asserts).map(([key, check]) => [key, counting(check)]);
        const t = {
          plan: (count: number) => void (planned = count),
          diagnostic: () => undefined,
          assert: Object.fromEntries(asserts),
        };
        await run(t);
        expect(checked).toBe(planned ?? checked);
      });
    },
    async persistence() {
      const bed = await make();
      beds.push(bed);
      const store = await bed.open();
      const persistence = await openPersistence({ store });
      const { destroy } = persistence;
      return Object.assign(persistence, {
        async destroy() {
          await destroy();
          await store.close();
        },
      });
    },
  });
});
