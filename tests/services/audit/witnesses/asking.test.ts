import { describe, expect, it } from "vitest";
import { RastroError } from "../../../../lib/contracts/errors.ts";
import { parseAddCheckpoint } from "../../../../lib/ledger/add-checkpoint.ts";
import { type Checkpoint, parseCheckpoint, signCheckpoint } from "../../../../lib/ledger/checkpoint.ts";
import { leafHash } from "../../../../lib/ledger/hash.ts";
import { appendLeaf, consistencyPath, EMPTY_RANGE, rootOf } from "../../../../lib/ledger/tree.ts";
import { createKey } from "../../../../lib/runtime/keys.ts";
import type { After } from "../../../../lib/messaging/timing.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { type Asker, HEARTBEAT_MS, startAsker } from "../../../../services/audit/witnesses/asker.ts";
import type { Carry, Outcome } from "../../../../services/audit/witnesses/exchange.ts";
import { openProgress } from "../../../../services/audit/witnesses/progress.ts";
import { createQuorumWatch } from "../../../../services/audit/witnesses/quorum-watch.ts";
import type { WitnessedLog } from "../../../../services/audit/witnesses/witnessed-log.ts";
import { logKeysOf } from "../../../support/log-keys.ts";
import { SILENT } from "../../../support/silent.ts";
import { watch } from "../../../support/until.ts";
import { witnessOf } from "../../../support/witness.ts";

/* One asker with a log in memory, a witness that judges, and time that the test moves. */

const PLANT = "plant-test";
const keys = logKeysOf(`${PLANT}/audit`);
const OTHERS = logKeysOf(`${PLANT}/production`);
const STRANGE = createKey().privateKey;

/** A log that grows as it is told; `salt` makes its history another. */
function logOf(salt = ""): WitnessedLog & { grow(by: number): void; shrink(to: number): void } {
  const nodes = new Map<string, Buffer>();
  let range = EMPTY_RANGE;
  let latest: Checkpoint | null = null;
  const sign = () =>
    (latest = parseCheckpoint(
      signCheckpoint({ origin: keys.origin, size: range.size, root: rootOf(range) }, keys.privateKeys()),
    ));
  const nothing = async () => undefined;
  return {
    book: "audit",
    latest: () => latest,
    size: async () => range.size,
    onNew: () => undefined,
    consistency: async (first, second) =>
      consistencyPath(first, second, (level, index) => nodes.get(`${level}/${index}`) as Buffer),
    keepCosigned: nothing,
    keys: keys.known,
    hold: nothing,
    release: nothing,
    grow(by) {
      for (let n = 0; n < by; n += 1) {
        const grown = appendLeaf(range, leafHash(Buffer.from(`${salt}${range.size}`)));
        for (const { level, index, hash } of grown.completed) nodes.set(`${level}/${index}`, hash);
        range = grown.range;
      }
      sign();
    },
    shrink(to) {
      range = EMPTY_RANGE;
      for (let n = 0; n < to; n += 1) range = appendLeaf(range, leafHash(Buffer.from(`${salt}${n}`))).range;
      sign();
    },
  };
}

/** Timers that run when the test says so. */
function timers() {
  const pending: { ms: number; task: () => void }[] = [];
  const set = watch(pending);
  const after: After = (ms, task) => {
    const timer = { ms, task };
    pending.push(timer);
    set.changed();
    return () => void pending.splice(pending.indexOf(timer), pending.includes(timer) ? 1 : 0);
  };
  return {
    after,
    /** The next timer that is set, now or later. */
    next: async () => (await set.until((timers) => timers.length > 0))[0],
    fire: () => pending.splice(0).forEach(({ task }) => task()),
  };
}

async function ask(log: WitnessedLog, carry: Carry, o: { key?: ReturnType<typeof witnessOf>["key"] } = {}) {
  const store = await Store.inMemory();
  const key = o.key ?? witnessOf("other", PLANT).key;
  const progress = openProgress({ store, book: "audit", witness: "w", keyId: key.keyId, onFault: () => undefined });
  const outcomes = watch<Outcome[]>([]);
  const time = { now: 1_800_000_000_000 };
  const clock = timers();
  const asker: Asker = startAsker({
    log,
    member: { name: "w", key, url: null, host: null, standing: "counts" },
    carry,
    progress,
    onOutcome: async (outcome) => {
      outcomes.value.push(outcome);
      outcomes.changed();
    },
    now: () => time.now,
    after: clock.after,
    random: (bytes) => Buffer.alloc(bytes),
    logger: SILENT,
  });
  const outcome = async (n: number) => (await outcomes.until((all) => all.length > n))[n];
  return { asker, progress, outcomes, outcome, time, clock };
}

function honest(name = "w") {
  const core = witnessOf(name, PLANT);
  const olds: number[] = [];
  const carry = async (request: string) => {
    olds.push(parseAddCheckpoint(request).old);
    return core.answer(request);
  };
  return { core, olds, carry };
}

describe("asking a witness", () => {
  it("asks with the size that the witness has, and learns it from 409 where it did not know", async () => {
    const log = logOf();
    const { core, olds, carry } = honest();
    log.grow(3);
    const first = await ask(log, carry, { key: core.key });
    expect(await first.outcome(0)).toMatchObject({ kind: "cosigned" });
    log.grow(4);
    first.asker.wake();
    expect(await first.outcome(1)).toMatchObject({ kind: "cosigned" });
    await first.asker.stop();
    expect(olds).toEqual([0, 3]);

    log.grow(1);
    const anew = await ask(log, carry, { key: core.key });
    expect(await anew.outcome(0)).toMatchObject({ kind: "cosigned" });
    expect(olds).toEqual([0, 3, 0, 7]);
    expect(anew.progress.size()).toBe(8);
    await anew.asker.stop();
  });

  it("asks once for the newest of what came during a round", async () => {
    const log = logOf();
    const { core, carry } = honest();
    const gate = Promise.withResolvers<void>();
    const asked = watch<number[]>([]);
    log.grow(1);
    const slow: Carry = async (request) => {
      asked.value.push(parseCheckpoint(parseAddCheckpoint(request).checkpoint).head.size);
      asked.changed();
      await gate.promise;
      return carry(request);
    };
    const { asker, outcome } = await ask(log, slow, { key: core.key });
    await asked.until((sizes) => sizes.length > 0);
    for (let n = 0; n < 3; n += 1) {
      log.grow(1);
      asker.wake();
    }
    gate.resolve();
    await outcome(1);
    await asker.stop();
    expect(asked.value).toEqual([1, 4]);
  });

  it("lets one that is away rest for longer each time, whatever comes, and asks at once when it is back", async () => {
    const log = logOf();
    const { core, carry } = honest();
    let away = true;
    log.grow(1);
    const flaky: Carry = (request) =>
      away ? Promise.reject(new RastroError({ code: "timeout", message: "it did not answer" })) : carry(request);
    const { asker, outcomes, outcome, clock, progress } = await ask(log, flaky, { key: core.key });
    const pauses: number[] = [];
    for (let n = 0; n < 8; n += 1) {
      expect(await outcome(n)).toMatchObject({ kind: "away" });
      pauses.push((await clock.next())?.ms ?? 0);
      log.grow(1);
      asker.wake();
      expect(outcomes.value).toHaveLength(n + 1);
      if (n < 7) clock.fire();
    }
    expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    away = false;
    asker.retry();
    expect(await outcome(8)).toMatchObject({ kind: "cosigned", checkpoint: { head: { size: 9 } } });
    expect(progress.error()).toBeNull();
    await asker.stop();
  });

  it("has what does not change cosigned again each minute, and not before", async () => {
    const log = logOf();
    const { core, carry, olds } = honest();
    log.grow(2);
    const { asker, outcome, outcomes, clock, time } = await ask(log, carry, { key: core.key });
    await outcome(0);
    asker.wake();
    time.now += HEARTBEAT_MS;
    expect(outcomes.value).toHaveLength(1);
    clock.fire();
    await outcome(1);
    await asker.stop();
    expect(olds).toEqual([0, 2]);
  });

  it("finds that the log is behind, and that it contradicts what was cosigned", async () => {
    const log = logOf();
    const { core, carry } = honest();
    log.grow(5);
    const first = await ask(log, carry, { key: core.key });
    await first.outcome(0);
    await first.asker.stop();
    log.shrink(3);
    const behind = await ask(log, carry, { key: core.key });
    expect(await behind.outcome(0)).toEqual({ kind: "ahead", size: 5 });
    await behind.asker.stop();

    const other = logOf("other ");
    other.grow(7);
    const forked = await ask(other, carry, { key: core.key });
    expect(await forked.outcome(0)).toMatchObject({ kind: "conflict", old: 5 });
    await forked.asker.stop();
  });

  it.each([
    ["nothing", async () => null],
    ["what is no note", async () => "hello"],
    ["a checkpoint that it cosigned alone", async () => note(999, { ...keys, privateKeys: () => [STRANGE] })],
    ["one of another log", async () => note(999, OTHERS)],
    ["one over no more than there is", async () => note(3)],
    ["one whose size was changed", async () => note(999).replace("\n999\n", "\n9999\n")],
  ])("believes nobody who says to have seen more than there is and shows %s", async (_what, shown) => {
    const log = logOf();
    const { core, carry, olds } = honest();
    log.grow(3);
    let lies = true;
    const lying: Carry = async (request) => (lies ? { status: 409, size: 999, note: await shown() } : carry(request));
    const { asker, outcome, outcomes, progress, clock } = await ask(log, lying, { key: core.key });
    expect(await outcome(0)).toEqual({ kind: "unproven", size: 999 });
    expect(progress.size()).toBeNull();
    await clock.next();
    lies = false;
    clock.fire();
    expect(await outcome(1)).toMatchObject({ kind: "cosigned" });
    expect([outcomes.value.length, ...olds]).toEqual([2, 0]);
    await asker.stop();
  });

  it("takes as many records for seen as a checkpoint of the log proves, whatever is said", async () => {
    const log = logOf();
    log.grow(3);
    const { asker, outcome, progress } = await ask(log, async () => ({ status: 409, size: 999, note: note(5) }));
    expect(await outcome(0)).toEqual({ kind: "ahead", size: 5 });
    expect(progress.size()).toBe(5);
    expect(progress.cosignedSize()).toBeNull();
    await asker.stop();
  });

  it("does not count to a quorum what a witness only says that it has seen", async () => {
    const log = logOf();
    const { core, carry } = honest();
    log.grow(3);
    const { asker, outcome, progress, time } = await ask(log, carry, { key: core.key });
    await outcome(0);
    const member = { name: "w", key: core.key, url: null, host: null, standing: "counts" as const };
    const watched = createQuorumWatch({
      quorum: () => ({ counting: [member], threshold: 1 }),
      latest: log.latest,
      progress: () => progress,
      now: () => time.now,
    });
    expect(watched.cosigned()).toBe(1);
    log.grow(2);
    progress.learned(5);
    expect(watched.cosigned()).toBe(0);
    await asker.stop();
  });

  it.each([
    ["a cosignature by another key", async (request: string) => witnessOf("w", PLANT).answer(request), "refused"],
    ["a cosignature of another checkpoint", cosignatureOfAnother(), "refused"],
    ["no cosignature", async () => ({ status: 200 as const, signatures: "yes\n" }), "refused"],
    ["what is no answer", async () => null, "refused"],
    ["403", async () => ({ status: 403 as const, why: "who are you?" }), "refused"],
    ["429", async () => ({ status: 429 as const, why: "too often" }), "away"],
    ["503", async () => ({ status: 503 as const, why: "too much waits" }), "away"],
    ["another size each time", countingUp(), "away"],
  ])("does not take %s", async (_what, carry, kind) => {
    const log = logOf();
    log.grow(200);
    const { asker, outcome, progress } = await ask(log, carry, { key: witnessOf("w", PLANT).key });
    expect(await outcome(0)).toMatchObject({ kind });
    expect(progress.at()).toBeNull();
    expect(progress.error()).not.toBeNull();
    await asker.stop();
  });
});

/** A checkpoint over so many records, signed by the log unless by another. */
function note(size: number, { origin, privateKeys } = keys): string {
  return signCheckpoint({ origin, size, root: Buffer.alloc(32, 7) }, privateKeys());
}

function cosignatureOfAnother(): Carry {
  const log = logOf("another ");
  log.grow(200);
  const note = signCheckpoint(
    log.latest()?.head ?? { origin: "", size: 0, root: Buffer.alloc(32) },
    keys.privateKeys(),
  );
  return async () => witnessOf("w", PLANT).answer(`old 0\n\n${note}`);
}

function countingUp(): Carry {
  let size = 0;
  return async () => ({ status: 409, size: (size += 1), note: null });
}
