import { v7 } from "uuid";
import { describe, expect, it } from "vitest";
import type { Command } from "../../../lib/contracts/commands.ts";
import { canonicalText } from "../../../lib/ledger/canonical.ts";
import { createKey } from "../../../lib/runtime/keys.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { signedBy } from "../../support/commands.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { FLEET, hubTimeOf, issued, NOW, receiverOf } from "./parts.ts";

const instant = (offset: number) => new Date(NOW + offset).toISOString();
const HOUR = 3_600_000;

describe("a command that is as it must be", () => {
  it("is written down, acknowledged, executed, told to audit and answered", async () => {
    const { take, said, executed, told, journal } = await receiverOf();
    const made = issued();
    await take(made);
    expect(said).toEqual([
      { ack: made.id },
      { v: 1, id: made.id, at: instant(0), status: "succeeded", data: { done: true }, error: null },
    ]);
    expect(executed).toEqual([made.id]);
    expect(told).toMatchObject([
      { type: "command.executed", actor: { sub: "ipc-07", auth: "device" }, payload: { outcome: "succeeded" } },
    ]);
    expect(journal.find(made.id)?.result).toEqual(said[1]);
  });

  it("is on disk before it is executed", async () => {
    const parts = await receiverOf();
    const made = issued();
    let before: unknown;
    parts.execution.run = async () => {
      before = parts.journal.find(made.id);
      return { status: "succeeded", data: null, error: null };
    };
    await parts.take(made);
    expect(before).toMatchObject({ id: made.id, result: null });
  });

  it("is not executed when it cannot be written down", async () => {
    const parts = await receiverOf();
    await parts.store.close();
    const made = issued();
    await parts.take(made);
    expect(parts.executed).toEqual([]);
    expect(parts.said).toMatchObject([{ id: made.id, status: "rejected", error: { code: "store_unusable" } }]);
  });
});

describe("a duplicate", () => {
  it("gets the stored result and is never executed again, however often and however late it comes", async () => {
    const { take, said, executed, told, clock } = await receiverOf();
    const made = issued();
    await Promise.all([take(made), take(made), take(made)]);
    clock.now += 7 * 24 * HOUR;
    await take(made);
    expect(executed).toEqual([made.id]);
    expect(told).toHaveLength(1);
    const [, result, ...again] = said;
    expect(again).toEqual([result, result, result]);
  });

  it("gets it after a restart as well", async () => {
    const folder = await temporaryFolder();
    const made = issued();
    const first = await receiverOf({ store: await Store.openFolder(folder) });
    await first.take(made);
    await first.store.close();
    const second = await receiverOf({ store: await Store.openFolder(folder) });
    await second.receiver.closeCutOff();
    await second.take(made);
    expect(second.executed).toEqual([]);
    expect(second.said).toEqual([first.said[1]]);
    await second.store.close();
  });

  it("with other content is refused", async () => {
    const { take, said, executed, refused } = await receiverOf();
    const made = issued();
    await take(made);
    await take({ ...made, timeoutMs: 1 });
    expect(executed).toEqual([made.id]);
    expect(refused).toEqual(["id_conflict"]);
    expect(said.at(-1)).toMatchObject({ status: "rejected", error: { code: "id_conflict" } });
  });
});

describe("a command that a crash cut off", () => {
  it("is answered unknown-outcome at the next start and to every duplicate, and never begun again", async () => {
    const folder = await temporaryFolder();
    const made = issued();
    const first = await receiverOf({ store: await Store.openFolder(folder) });
    await first.journal.begin(made, canonicalText(made));
    await first.store.close();

    const second = await receiverOf({ store: await Store.openFolder(folder) });
    await second.receiver.closeCutOff();
    await second.take(made);
    expect(second.executed).toEqual([]);
    expect(second.said).toHaveLength(2);
    for (const answer of second.said) {
      expect(answer).toMatchObject({ id: made.id, status: "unknown-outcome", error: { code: "unknown_outcome" } });
    }
    expect(second.told).toMatchObject([{ type: "command.executed", payload: { outcome: "unknown-outcome" } }]);
    await second.store.close();
  });

  it("does not take one for cut off that was begun meanwhile", async () => {
    const { receiver, take, said } = await receiverOf();
    const closing = receiver.closeCutOff();
    const made = issued();
    await Promise.all([closing, take(made)]);
    expect(said).toMatchObject([{ ack: made.id }, { status: "succeeded" }]);
  });
});

describe("what is refused and never executed", () => {
  const change = (made: Partial<Command>) => JSON.stringify(signedBy(FLEET, issued(made)));
  const tampered = () => {
    const { body, sig } = signedBy(FLEET, issued());
    return JSON.stringify({ body: body.replace('"ping"', '"pong"'), sig });
  };
  const cases: [what: string, code: string, payload: () => string, topic?: string][] = [
    ["no signature", "schema", () => JSON.stringify({ body: canonicalText(issued()) })],
    ["an empty signature", "bad_signature", () => JSON.stringify({ body: canonicalText(issued()), sig: "" })],
    ["another key's signature", "bad_signature", () => JSON.stringify(signedBy(createKey(), issued()))],
    ["bytes that were changed after signing", "bad_signature", tampered],
    ["another machine", "wrong_machine", () => change({ machine: "ipc-08" })],
    ["another topic than its own", "wrong_machine", () => change({}), "machines/ipc-07/commands/system-info"],
    ["another machine's topic", "wrong_machine", () => change({}), "machines/ipc-08/commands/ping"],
    ["an unknown name", "unknown_command", () => change({ name: "reboot" }), "machines/ipc-07/commands/reboot"],
    [
      "a name that objects have",
      "unknown_command",
      () => change({ name: "constructor" }),
      "machines/ipc-07/commands/constructor",
    ],
    ["arguments that do not fit", "schema", () => change({ args: { loud: true } })],
    ["another version", "schema", () => change({ v: 2 as 1 })],
    ["an unknown field", "schema", () => change({ extra: 1 } as Partial<Command>)],
    ["a notAfter that has passed", "expired", () => change({ issuedAt: instant(-HOUR), notAfter: instant(-6000) })],
    ["an issuedAt to come", "not_yet_valid", () => change({ issuedAt: instant(6000), notAfter: instant(HOUR) })],
    ["no JSON", "malformed", () => "{"],
    ["nothing", "malformed", () => ""],
    ["more bytes than are taken", "too_large", () => "x".repeat(40_001)],
  ];

  it.each(cases)("%s: %s", async (_what, code, payload, topic) => {
    const { takeBytes, executed, refused, said, journal } = await receiverOf();
    await takeBytes(payload(), topic === undefined ? {} : { topic });
    expect(refused).toEqual([code]);
    expect(executed).toEqual([]);
    expect(journal.newest()).toBe(0);
    for (const answer of said) expect(answer).toMatchObject({ status: "rejected", error: { code } });
  });

  it("what is retained, without a word", async () => {
    const { takeBytes, executed, refused, said } = await receiverOf();
    await takeBytes(change({}), { retained: true });
    expect({ executed, refused, said }).toEqual({ executed: [], refused: ["retained"], said: [] });
  });

  it("everything, on a machine without a pinned key", async () => {
    const { take, executed, refused, said } = await receiverOf({ key: null });
    await take(issued());
    expect(executed).toEqual([]);
    expect(refused).toEqual(["no_command_key"]);
    expect(said).toMatchObject([{ status: "rejected", error: { code: "no_command_key" } }]);
  });

  it("what comes while too much waits", async () => {
    const parts = await receiverOf();
    const release = Promise.withResolvers<void>();
    parts.execution.run = async () => {
      await release.promise;
      return { status: "succeeded", data: null, error: null };
    };
    const taken = Array.from({ length: 70 }, () => parts.take(issued()));
    release.resolve();
    await Promise.all(taken);
    expect(parts.executed).toHaveLength(64);
    expect(parts.refused).toEqual(Array(6).fill("busy"));
  });
});

describe("time", () => {
  const OFF = 90_000;

  it("is the hub's: an own clock that is off neither expires a command nor lets one in", async () => {
    const behind = await receiverOf({ hubTime: hubTimeOf(OFF) });
    await behind.take(issued({ issuedAt: instant(OFF), notAfter: instant(OFF + 60_000) }));
    expect(behind.executed).toHaveLength(1);
    await behind.take(issued({ issuedAt: instant(0), notAfter: instant(60_000) }));
    expect(behind.executed).toHaveLength(1);
    expect(behind.refused).toEqual(["expired"]);
  });

  it("may differ more while the hub has not told it", async () => {
    const early = { issuedAt: instant(25_000), notAfter: instant(HOUR) };
    const unknown = await receiverOf({ hubTime: hubTimeOf(null) });
    await unknown.take(issued(early));
    expect(unknown.executed).toHaveLength(1);
    const known = await receiverOf();
    await known.take(issued(early));
    expect(known.refused).toEqual(["not_yet_valid"]);
  });

  it("is asked again before a command is refused for it, since the clock may have been set; but not each time", async () => {
    const hubTime = hubTimeOf(-50 * HOUR, 0);
    const { take, executed } = await receiverOf({ hubTime });
    await take(issued());
    expect(executed).toHaveLength(1);
    for (let count = 0; count < 5; count += 1) await take(issued({ notAfter: instant(-HOUR) }));
    expect(executed).toHaveLength(1);
    expect(hubTime.state.asked).toBe(1);
  });

  it("does not go back behind what the fleet has signed, over restarts, whatever the hub says", async () => {
    const folder = await temporaryFolder();
    const first = await receiverOf({ store: await Store.openFolder(folder) });
    const older = issued({ id: v7() });
    first.clock.now += 2 * HOUR;
    await first.take(issued({ issuedAt: instant(2 * HOUR), notAfter: instant(2 * HOUR + 60_000) }));
    expect(first.executed).toHaveLength(1);
    await first.store.close();
    // The hub lies: it is two hours ago, and the older command would fit.
    const second = await receiverOf({ store: await Store.openFolder(folder), hubTime: hubTimeOf(0) });
    await second.take(older);
    expect(second.executed).toEqual([]);
    expect(second.refused).toEqual(["expired"]);
    await second.store.close();
  });
});

describe("the journal", () => {
  it("forgets after a month what ended, never what has no result", async () => {
    const parts = await receiverOf();
    const [ended, open] = [issued(), issued()];
    await parts.take(ended);
    await parts.journal.begin(open, canonicalText(open));
    parts.clock.now += 31 * 24 * HOUR;
    await parts.journal.prune();
    expect(parts.journal.find(ended.id)).toBeUndefined();
    expect((await parts.journal.cutOff()).map(({ id }) => id)).toEqual([open.id]);
  });
});
