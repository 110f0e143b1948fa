import { expect, it, vi } from "vitest";
import { openLogNotes } from "../../../lib/witness/log-notes.ts";
import { createWitness, type Witness } from "../../../lib/witness/witness.ts";
import { createPowerFiles } from "../../support/power-files.ts";
import { random } from "../../support/random.ts";
import { SILENT } from "../../support/silent.ts";
import { keyOfSeed } from "../ledger/keys.ts";
import { history, LOG_KEY, ORIGIN } from "./test-log.ts";

const current = vi.hoisted(() => ({ files: {} as ReturnType<typeof createPowerFiles>["files"] }));

// The files of new-file.ts and log-notes.ts; nothing else of the system is replaced.
vi.mock("node:fs/promises", () => {
  const call =
    (name: string) =>
    (...given: unknown[]) =>
      (current.files as unknown as Record<string, (...args: unknown[]) => unknown>)[name]?.(...given);
  const names = ["mkdir", "open", "rename", "unlink", "access", "readFile", "readdir", "link", "chmod"];
  return Object.fromEntries(names.map((name) => [name, call(name)]));
});

const SIZE = 30;
const FORK = 4;
const branches = [history("a", { size: SIZE, fork: FORK }), history("b", { size: SIZE, fork: FORK })];

async function open(): Promise<Witness> {
  return createWitness({
    name: "ipc-07/witness",
    privateKey: keyOfSeed(7),
    logs: { keys: () => [LOG_KEY] },
    notes: await openLogNotes("/witness"),
    onFinding: () => {},
    now: () => 1_795_500_000_000,
    log: SILENT,
  });
}

it("a witness whose power is cut at any moment never cosigns two histories, and never goes back", async () => {
  let cosigned = 0;
  let cuts = 0;
  for (let seed = 1; seed <= 80; seed += 1) {
    const dice = random(seed);
    const power = createPowerFiles(dice.below);
    current.files = power.files;
    const given: { size: number; root: Buffer }[] = [];
    for (let life = 0; life < 4; life += 1) {
      await untilOff(power, dice, given);
      cuts += 1;
      power.powerOn();
    }
    const sizes = given.map(({ size }) => size);
    expect(sizes, `seed ${seed}`).toEqual(sizes.toSorted((one, other) => one - other));
    const isOne = branches.some((log) => given.every(({ size, root }) => log.root(size).equals(root)));
    expect(isOne, `seed ${seed}`).toBe(true);
    cosigned += given.length;
  }
  expect(cuts).toBe(320);
  expect(cosigned).toBeGreaterThan(320);
});

/** One life of the process: it is opened and asked until its power goes. */
async function untilOff(
  power: ReturnType<typeof createPowerFiles>,
  dice: ReturnType<typeof random>,
  given: { size: number; root: Buffer }[],
): Promise<void> {
  power.cutAfter(4 + dice.below(60));
  const off = () => new Promise<null>((resolve) => whenOff(power.isOff, () => resolve(null)));
  const witness = await Promise.race([open(), off()]);
  if (witness === null) return;
  while (!power.isOff()) {
    const log = branches[dice.below(2)] as (typeof branches)[number];
    const last = await Promise.race([witness.cosigned(ORIGIN), off()]);
    const has = last?.checkpoint.head.size ?? 0;
    const size = Math.min(SIZE, has + dice.below(4));
    const answer = await Promise.race([witness.addCheckpoint(log.request(has, size)), off()]);
    // What it has said before the power went counts, whoever has heard it.
    if (answer?.status === 200) given.push({ size, root: log.root(size) });
  }
}

/** Looks each turn: nothing of what waits for the disk comes back any more. */
function whenOff(isOff: () => boolean, then: () => void): void {
  if (isOff()) setImmediate(then);
  else setImmediate(() => whenOff(isOff, then));
}
