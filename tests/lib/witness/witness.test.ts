import { describe, expect, it } from "vitest";
import type { WitnessAnswer } from "../../../lib/contracts/witness.ts";
import { cosignersOf, parseCheckpoint, signedBy } from "../../../lib/ledger/checkpoint.ts";
import type { Finding } from "../../../lib/witness/witness.ts";
import { createWitness } from "../../../lib/witness/witness.ts";
import { SILENT } from "../../support/silent.ts";
import { keyOfSeed } from "../ledger/keys.ts";
import { memoryNotes } from "./memory-notes.ts";
import { history, LOG_KEY, ORIGIN } from "./test-log.ts";

const SIZE = 40;
const honest = history("a", { size: SIZE, fork: 10 });
const other = history("b", { size: SIZE, fork: 10 });
const START = Date.parse("2026-11-24T12:00:00.000Z");

function open(kept?: Map<string, string>) {
  const { notes, state } = memoryNotes(kept);
  const findings: Finding[] = [];
  const time = { now: START };
  const witness = createWitness({
    name: "ipc-07.plant-1/witness",
    privateKey: keyOfSeed(7),
    logs: { keys: () => [LOG_KEY] },
    notes,
    onFinding: (finding) => void findings.push(finding),
    now: () => time.now,
    log: SILENT,
  });
  const ask = (log: typeof honest, old: number, size: number) => witness.addCheckpoint(log.request(old, size));
  return { witness, state, findings, time, ask };
}

/** What a log makes of an answer: its checkpoint with the cosignature, read again. */
function cosigners(witness: { key: typeof LOG_KEY }, log: typeof honest, size: number, answer: WitnessAnswer) {
  expect(answer.status).toBe(200);
  const lines = answer.status === 200 ? answer.signatures : "";
  return cosignersOf(parseCheckpoint(`${log.checkpoint(size)}${lines}`), [witness.key]);
}

describe("a witness", () => {
  it("cosigns what is proven, at its own clock's time", async () => {
    const { witness, ask } = open();
    const answer = await ask(honest, 0, 7);
    expect(cosigners(witness, honest, 7, answer)).toEqual([{ witness: witness.key, time: START / 1000 }]);
    expect(cosigners(witness, honest, 31, await ask(honest, 7, 31))).toHaveLength(1);
  });

  it("keeps, before it answers, the note with the log's signature and its own, and goes on from it", async () => {
    const first = open();
    await first.ask(honest, 0, 12);
    const kept = parseCheckpoint(first.state.kept.get(ORIGIN) ?? "");
    expect(signedBy(kept, [LOG_KEY])).toEqual([LOG_KEY]);
    expect(cosignersOf(kept, [first.witness.key])).toHaveLength(1);

    const second = open(first.state.kept);
    expect(await second.ask(honest, 0, 20)).toMatchObject({ status: 409, size: 12 });
    expect((await second.ask(honest, 12, 20)).status).toBe(200);
  });

  it("answers with nothing that is not on the disk", async () => {
    const { state, ask } = open();
    for (const fault of ["not-written", "written-but-failed"] as const) {
      state.fault = fault;
      expect(await ask(honest, 0, 5)).toMatchObject({ status: 500 });
    }
    state.fault = "none";
    expect(await ask(honest, 0, 5)).toMatchObject({ status: 409, size: 5 });
    // Also where nothing is new: the write that failed may not have come as far as the disk.
    const { writes } = state;
    expect((await ask(honest, 5, 5)).status).toBe(200);
    expect(state.writes).toBe(writes + 1);
  });

  it.each([
    ["what is none", "old 0\n\nnothing", 400],
    ["another log", history("a", { size: 9, origin: "plant-2/audit" }).request(0, 9), 404],
    ["another key", history("a", { size: 9, seed: 2 }).request(0, 9), 403],
    ["an old size above the new", honest.request(9, 5), 400],
  ])("refuses %s, before it waits for others", async (_, request, status) => {
    const { witness, state } = open();
    expect(await witness.addCheckpoint(request)).toMatchObject({ status });
    expect(state.writes).toBe(0);
  });

  it("decides the requests of one log one after the other", async () => {
    const { ask } = open();
    await ask(honest, 0, 10);
    // The race of tlog-witness: both hold against 10, and only one may count.
    const answers = await Promise.all([ask(honest, 10, 20), ask(honest, 10, 30), ask(honest, 10, 15)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 409, 409]);
    expect(await ask(honest, 0, 1)).toMatchObject({ status: 409, size: 20 });
  });

  it("says that it is busy rather than to let any number wait", async () => {
    const { ask } = open();
    const answers = await Promise.all(Array.from({ length: 80 }, () => ask(honest, 0, 4)));
    expect(answers.filter(({ status }) => status === 503)).toHaveLength(16);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it.each(["", "half a note", "the note of another witness"])(
    "cosigns nothing when its note is damaged: %s",
    async (what) => {
      const { state, ask } = open();
      await ask(honest, 0, 12);
      const foreign = honest.checkpoint(12);
      const note = state.kept.get(ORIGIN) ?? "";
      state.kept.set(ORIGIN, what === "" ? "" : what === "half a note" ? note.slice(0, 80) : foreign);
      expect(await ask(honest, 12, 20)).toMatchObject({ status: 500 });
      expect(await ask(other, 0, 20)).toMatchObject({ status: 500 });
    },
  );
});

describe("a witness whose note is changed while it runs", () => {
  it("cosigns nothing from less than it had: neither from nothing nor from an older note", async () => {
    const { state, ask } = open();
    await ask(honest, 0, 12);
    const older = state.kept.get(ORIGIN) ?? "";
    await ask(honest, 12, 20);
    state.kept.set(ORIGIN, older);
    expect(await ask(other, 12, 15)).toMatchObject({ status: 500 });
    expect(await ask(honest, 12, 15)).toMatchObject({ status: 500 });
    state.kept.delete(ORIGIN);
    expect(await ask(other, 0, 5)).toMatchObject({ status: 500 });
  });
});

describe("a log that lies", () => {
  it("is found when it asks for another root of the size that was cosigned", async () => {
    const { ask, findings, witness } = open();
    await ask(honest, 0, 20);
    expect(await ask(other, 20, 20)).toMatchObject({ status: 422 });
    expect(findings).toEqual([
      {
        alarm: "forked",
        origin: ORIGIN,
        message: expect.stringContaining("two roots for its first 20 records") as string,
        cosigned: (await witness.cosigned(ORIGIN))?.note,
        seen: other.checkpoint(20),
      },
    ]);
  });

  it("is found as well when it asks with a wrong old size", async () => {
    const { ask, findings } = open();
    await ask(honest, 0, 20);
    expect(await ask(other, 3, 20)).toMatchObject({ status: 409, size: 20 });
    expect(findings).toMatchObject([{ alarm: "forked" }]);
  });

  it("is found when it cannot prove that it goes on from there", async () => {
    const { ask, findings } = open();
    await ask(honest, 0, 20);
    expect(await ask(other, 20, 33)).toMatchObject({ status: 422 });
    expect(findings).toMatchObject([{ alarm: "inconsistent", seen: other.checkpoint(33) }]);
    expect((await ask(honest, 20, 33)).status).toBe(200);
  });

  it("is found by what it publishes: another root at once, a smaller size a minute after", async () => {
    const { ask, witness, findings, time } = open();
    await ask(honest, 0, 20);
    await witness.look(honest.checkpoint(20), true);
    await witness.look(honest.checkpoint(19), true);
    await witness.look(other.checkpoint(25), true);
    expect(findings).toEqual([]);
    await witness.look(other.checkpoint(20), true);
    expect(findings).toMatchObject([{ alarm: "forked" }]);
    time.now += 60_001;
    await witness.look(honest.checkpoint(19), false);
    expect(findings).toHaveLength(1);
    await witness.look(honest.checkpoint(19), true);
    expect(findings).toMatchObject([{ alarm: "forked" }, { alarm: "rolled-back", seen: honest.checkpoint(19) }]);
  });

  it("is not accused by what somebody else has published in its name", async () => {
    const { ask, witness, findings, time } = open();
    await ask(honest, 0, 20);
    time.now += 60_001;
    await witness.look(history("b", { size: 20, seed: 2 }).checkpoint(20), true);
    await witness.look("nothing", true);
    await witness.look(history("b", { size: 20, origin: "plant-2/audit" }).checkpoint(3), true);
    expect(findings).toEqual([]);
  });
});
