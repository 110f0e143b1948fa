import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { cosign } from "../../../lib/ledger/cosignature.ts";
import { parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { formatRotation } from "../../../lib/ledger/key-rotation.ts";
import { type Policy, parsePolicy } from "../../../lib/ledger/policy.ts";
import { formatNote, formatVerifierKey, SIGNATURE_TYPES, verifierKey } from "../../../lib/ledger/signed-note.ts";
import { after } from "../../../lib/messaging/timing.ts";
import { createKey } from "../../../lib/runtime/keys.ts";
import { Mirror } from "../../../lib/storage/copy/mirror.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { type Follower, followBook, type Standing } from "../../../services/standby/follow-book.ts";
import { knownKeys } from "../../../services/standby/known-keys.ts";
import type { FetchRecords } from "../../../services/standby/read-ahead.ts";
import { problemIn } from "../../../services/standby/state.ts";
import { forgedFrom, type LogToFollow, logToFollow } from "../../support/log-to-follow.ts";
import { SILENT } from "../../support/silent.ts";

const START = Date.parse("2026-11-24T12:00:00.000Z");

type Bench = {
  log: LogToFollow;
  follower: Follower;
  mirror: Mirror;
  /** Set by a test to answer otherwise than the log would. */
  serve: { fetch: FetchRecords; rotations: string[] };
  clock: { now: number };
  until(condition: (standing: Standing) => boolean): Promise<Standing>;
};

async function bench(policy: Policy | null = null, log?: LogToFollow, before?: Mirror): Promise<Bench> {
  const followed = log ?? (await logToFollow());
  const serve = { rotations: [] as string[], fetch: async (from: number, limit: number) => followed.read(from, limit) };
  const clock = { now: START };
  const now = () => clock.now;
  const mirror = before ?? Mirror.open({ store: await Store.inMemory(), name: "audit", now });
  const follower = followBook({
    book: "audit",
    origin: "plant-test/audit",
    mirror,
    logKeys: knownKeys({ pinned: [followed.vkey], kept: mirror, ask: async () => serve.rotations }),
    policy,
    fetch: (from, limit) => serve.fetch(from, limit),
    now,
    // Pauses between tries end at once: what is tested is that it tries again.
    after: (ms, task) => after(ms < 1000 ? 0 : ms, task),
    random: randomBytes,
    log: SILENT,
  });
  const until = (condition: (standing: Standing) => boolean) =>
    new Promise<Standing>((resolve) => {
      const look = () => condition(follower.standing()) && resolve(follower.standing());
      follower.onChange(look);
      look();
    });
  return { log: followed, follower, mirror, serve, clock, until };
}

const provenTo = (size: number) => (standing: Standing) => standing.proven?.head.size === size;

describe("following a book", () => {
  it("fetches up to each checkpoint and proves it", async () => {
    const { log, follower, until } = await bench();
    await log.grow(400);
    await follower.take(log.checkpoint());
    const standing = await until(provenTo(400));
    expect(standing).toMatchObject({ held: 400, newest: 400, behindSince: null, refusal: null, trouble: null });
    await log.grow(3);
    await follower.take(log.checkpoint());
    await until(provenTo(403));
    await follower.close();
  });

  it("proves what it knows of before it stops", async () => {
    const { log, follower } = await bench();
    await log.grow(400);
    void follower.take(log.checkpoint());
    await follower.close();
    expect(follower.standing().proven?.head.size).toBe(400);
    await log.grow(1);
    await follower.take(log.checkpoint());
    expect(follower.standing().newest).toBe(400);
  });

  it("stops while an answer does not come", async () => {
    const { log, follower, serve } = await bench();
    await log.grow(10);
    const asked = Promise.withResolvers<void>();
    serve.fetch = () => {
      asked.resolve();
      return new Promise<never>(() => undefined);
    };
    await follower.take(log.checkpoint());
    await asked.promise;
    await follower.close();
    expect(follower.standing()).toMatchObject({ held: 0, newest: 10, trouble: null });
  });

  it("fetches nothing beyond the checkpoint, however much there is", async () => {
    const { log, follower, until } = await bench();
    await log.grow(10);
    const early = log.checkpoint();
    await log.grow(10);
    await follower.take(early);
    expect((await until(provenTo(10))).held).toBe(10);
    await follower.close();
  });

  it("takes the next page while one is on its way to the disk, and goes on behind what is there when that fails", async () => {
    const { log, follower, mirror, serve, until } = await bench();
    await log.grow(900);
    const { fetch } = serve;
    const fourthAsked = Promise.withResolvers<void>();
    serve.fetch = async (from, limit) => {
      if (from === 450) fourthAsked.resolve();
      return fetch(from, limit);
    };
    const append = mirror.append.bind(mirror);
    let writes = 0;
    mirror.append = async (records) => {
      writes += 1;
      // Three are on their way at most: the fourth is asked for once the first was taken, not once it is written.
      if (writes === 1) await fourthAsked.promise;
      if (writes === 2) throw new Error("the disk is full");
      return append(records);
    };
    await follower.take(log.checkpoint());
    const standing = await until(provenTo(900));
    expect(standing).toMatchObject({ held: 900, divergence: null, counts: { records: 900 } });
    await follower.close();
  });

  it("tries again what failed, and says meanwhile for how long it is behind", async () => {
    const { log, follower, serve, clock, until } = await bench();
    await log.grow(10);
    let tries = 0;
    const { fetch } = serve;
    serve.fetch = async (from, limit) => {
      clock.now += 30_000;
      if (++tries < 4) throw new Error("the service is away");
      return fetch(from, limit);
    };
    await follower.take(log.checkpoint());
    const troubled = await until(({ trouble }) => trouble !== null);
    expect(troubled.behindSince).toBe(START);
    await until(() => tries >= 3);
    expect(problemIn("audit", follower.standing(), clock.now)).toMatch(
      /^10 records .* are not proven here, for \d+ s: the/,
    );
    const standing = await until(({ proven, trouble }) => proven !== null && trouble === null);
    expect(problemIn("audit", standing, clock.now)).toBeNull();
    await follower.close();
  });

  it("says when the log has fallen silent, also since before it began", async () => {
    const { log, follower, until, mirror, clock } = await bench();
    expect(problemIn("audit", follower.standing(), clock.now)).toContain(
      "no checkpoint of the book audit has come yet",
    );
    await log.grow(1);
    await follower.take(log.checkpoint());
    await until(provenTo(1));
    await follower.close();
    clock.now += 60_000;
    const again = await bench(null, log, mirror);
    expect(problemIn("audit", again.follower.standing(), again.clock.now)).toBeNull();
    again.clock.now += 151_000;
    expect(problemIn("audit", again.follower.standing(), again.clock.now)).toContain("has come for 151 s");
    await again.follower.close();
  });

  it("takes no checkpoint that its log has not signed", async () => {
    const { log, follower } = await bench();
    await log.grow(2);
    const other = await logToFollow("audit", "plant-other");
    const impostor = await logToFollow();
    await impostor.grow(2);
    const [text, signatures] = log.checkpoint().split("\n\n") as [string, string];
    for (const note of [
      other.checkpoint(),
      impostor.checkpoint(),
      "no note",
      `${text.replace("2", "3")}\n\n${signatures}`,
    ]) {
      await follower.take(note);
      expect(follower.standing()).toMatchObject({ newest: 0, refusal: expect.stringContaining("is not taken") });
    }
    expect(problemIn("audit", follower.standing(), START)).toContain("is not taken");
    await follower.take(log.checkpoint());
    expect(follower.standing().refusal).toBeNull();
    await follower.close();
  });

  it("follows a log that changes its key, by what the old one says of the new one", async () => {
    const { log, follower, serve, clock, until } = await bench();
    const [next, stranger] = [createKey(), createKey()];
    await log.grow(2);
    await follower.take(log.checkpoint());
    await until(provenTo(2));
    const old = log.key;
    log.key = stranger;
    await log.grow(1);
    await follower.take(log.checkpoint());
    expect(follower.standing().refusal).toContain("the log's key has not signed it");

    serve.rotations = [formatRotation("plant-test/audit", { from: old.privateKey, to: next.privateKey })];
    clock.now += 10_000;
    log.key = next;
    await follower.take(log.checkpoint());
    await until(provenTo(3));
    log.key = old;
    await log.grow(1);
    await follower.take(log.checkpoint());
    expect(follower.standing().refusal, "the old key is of no use any more").toContain("has not signed it");
    await follower.close();
  });

  it("counts a checkpoint once the policy's witnesses have cosigned it", async () => {
    const witness = createKey();
    const named = { name: "plant-test/w1", privateKey: witness.privateKey };
    const vkey = formatVerifierKey(verifierKey(named.name, SIGNATURE_TYPES.cosignature, witness.publicRaw));
    const { log, follower, until } = await bench(parsePolicy(`witness w1 ${vkey}\nquorum w1\n`));
    await log.grow(2);
    await follower.take(log.checkpoint());
    expect(follower.standing()).toMatchObject({ newest: 2, proven: null, refusal: expect.stringContaining("quorum") });
    const { text, signatures } = parseCheckpoint(log.checkpoint()).note;
    const cosigned = formatNote({ text, signatures: [...signatures, cosign(text, { ...named, time: 1_795_000_000 })] });
    await follower.take(cosigned);
    const { proven } = await until(provenTo(2));
    expect(proven?.note.signatures).toHaveLength(2);
    await follower.close();
  });

  it("stops at a forged page, and says so", async () => {
    const { log, follower, serve, until } = await bench();
    await log.grow(5);
    await follower.take(log.checkpoint());
    await until(provenTo(5));
    await log.grow(200);
    serve.fetch = async (from, limit) => forgedFrom(log.read(from, limit));
    await follower.take(log.checkpoint());
    const standing = await until(({ divergence }) => divergence !== null);
    expect(standing.proven?.head.size).toBe(5);
    expect(problemIn("audit", standing, START)).toContain("has diverged");
    const asked = standing.counts.records;
    await log.grow(1);
    await follower.take(log.checkpoint());
    expect(follower.standing().counts.records, "it follows no more").toBe(asked);
    await follower.close();
  });

  it("says when the log has gone back, and that it is well again when it has come forward", async () => {
    const { log, follower, until } = await bench();
    await log.grow(5);
    const early = log.checkpoint();
    await log.grow(5);
    await follower.take(log.checkpoint());
    await until(provenTo(10));
    await follower.take(early);
    expect(follower.standing().rewound).toContain("covers 5 records, and one over 10 was signed before it");
    await follower.take(log.checkpoint());
    expect(follower.standing()).toMatchObject({ rewound: null, divergence: null });
    await follower.close();
  });
});
