import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseWitnessAnswer, formatWitnessAnswer } from "../../../lib/contracts/witness.ts";
import { cosignersOf, parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { createWitness } from "../../../lib/witness/witness.ts";
import { SILENT } from "../../support/silent.ts";
import { keyOfSeed } from "../ledger/keys.ts";
import { type DiskFault, memoryNotes } from "./memory-notes.ts";
import { history, LOG_KEY } from "./test-log.ts";

const SIZE = 12;
const FORK = 5;
const BRANCHES = [
  history("a", { size: SIZE, fork: FORK }),
  history("b", { size: SIZE, fork: FORK }),
  history("c", { size: SIZE }),
];

/** A request of some branch: from the size that the witness has, so many records on, or from any size to any other. */
type Ask = { branch: number } & ({ on: number } | { old: number; size: number });
type Step =
  | { kind: "ask"; together: Ask[]; fault: DiskFault }
  /** The process is killed while so many of them are on their way, and another one takes over its disk. */
  | { kind: "crash"; together: Ask[]; after: number };

const branch = fc.nat(BRANCHES.length - 1);
const ask: fc.Arbitrary<Ask> = fc.oneof(
  { arbitrary: fc.record({ branch, on: fc.nat(3) }), weight: 3 },
  { arbitrary: fc.record({ branch, old: fc.nat(SIZE), size: fc.nat(SIZE) }), weight: 1 },
);
const together = fc.array(ask, { minLength: 1, maxLength: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("ask" as const),
    together,
    fault: fc.constantFrom<DiskFault>("none", "none", "none", "not-written", "written-but-failed"),
  }),
  fc.record({ kind: fc.constant("crash" as const), together, after: fc.nat(12) }),
);

describe("a witness, whatever is asked of it and wherever it is killed", () => {
  it("never cosigns two histories, and never a smaller size after a larger one", async () => {
    let cosigned = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
        const given = await run(steps);
        const sizes = given.map(({ size }) => size);
        expect(sizes).toEqual(sizes.toSorted((one, another) => one - another));
        expect(BRANCHES.some((branch) => given.every(({ size, root }) => branch.root(size).equals(root)))).toBe(true);
        cosigned += given.length;
      }),
      { numRuns: 150 },
    );
    expect(cosigned).toBeGreaterThan(150);
  });

  async function run(steps: readonly Step[]) {
    const kept = new Map<string, string>();
    const given: { size: number; root: Buffer }[] = [];
    let process = start(kept, given);
    for (const one of steps) {
      if (one.kind === "ask") {
        process.state.fault = one.fault;
        await Promise.all(one.together.map(process.request));
        process.state.fault = "none";
        continue;
      }
      const underWay = one.together.map(process.request);
      for (let turn = 0; turn < one.after; turn += 1) await Promise.resolve();
      process.kill();
      process = start(kept, given);
      await Promise.all(underWay);
    }
    return given;
  }
});

/** A process of a witness on a disk: what it answers counts until it is killed, and so does what it writes. */
function start(disk: Map<string, string>, given: { size: number; root: Buffer }[]) {
  let alive = true;
  const { notes, state } = memoryNotes(disk);
  const witness = createWitness({
    name: "ipc-07/witness",
    privateKey: keyOfSeed(7),
    logs: { keys: () => [LOG_KEY] },
    notes: { read: notes.read, write: (origin, note) => (alive ? notes.write(origin, note) : new Promise(() => {})) },
    onFinding: () => {},
    now: () => 1_795_500_000_000,
    log: SILENT,
  });

  async function request(wanted: Ask): Promise<void> {
    const log = BRANCHES[wanted.branch] as (typeof BRANCHES)[number];
    const has = await sizeNow();
    const { old, size } = "on" in wanted ? { old: has, size: Math.min(SIZE, has + wanted.on) } : wanted;
    const answer = await Promise.race([witness.addCheckpoint(log.request(old, size)), killed]);
    if (!alive || answer === null) return;
    expect(parseWitnessAnswer(formatWitnessAnswer(answer))).toEqual(answer);
    if (answer.status !== 200) return;
    const checkpoint = parseCheckpoint(`${log.checkpoint(size)}${answer.signatures}`);
    expect(cosignersOf(checkpoint, [witness.key])).toHaveLength(1);
    given.push({ size, root: log.root(size) });
  }

  async function sizeNow(): Promise<number> {
    return (await witness.cosigned(LOG_KEY.name))?.checkpoint.head.size ?? 0;
  }

  const { promise: killed, resolve } = Promise.withResolvers<null>();
  return { request, state, kill: () => ((alive = false), resolve(null)) };
}
