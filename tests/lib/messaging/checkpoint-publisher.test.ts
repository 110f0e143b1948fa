import { describe, expect, it } from "vitest";
import { type CheckpointsPort, publishCheckpoints } from "../../../lib/messaging/checkpoint-publisher.ts";
import { SILENT } from "../../support/silent.ts";

/** A link, checkpoints and a clock that are driven by hand. */
function bench() {
  let now = 0;
  let due: { at: number; task: () => void } | null = null;
  let note = "one";
  let rotations: string[] = [];
  let told = "";
  const published: string[] = [];
  let up: (connection: string) => void = () => undefined;
  const link = {
    connected: true,
    publish: async (topic: string, payload: string | Buffer, options?: { retain?: boolean }) => {
      published.push(`${topic} ${String(payload)}${options?.retain === true ? " retained" : ""}`);
    },
    onUp: (listener: (connection: string) => void) => void (up = listener),
  };
  const checkpoints: CheckpointsPort = {
    async issue() {
      const isNew = note !== told;
      told = note;
      return { note, isNew };
    },
    latest: () => ({ note }),
  };
  const publisher = publishCheckpoints({
    link,
    book: "audit",
    checkpoints,
    rotations: () => rotations,
    log: SILENT,
    now: () => now,
    after: (ms, task) => {
      due = { at: now + ms, task };
      return () => void (due = null);
    },
  });
  return {
    published,
    publisher,
    link,
    reconnect: () => up("c2"),
    rotate: (texts: string[]) => void (rotations = texts),
    change: (text: string) => void (note = text),
    /** Lets so many seconds pass, one after the other. */
    async pass(seconds: number) {
      for (let second = 0; second < seconds; second += 1) {
        await settled();
        now += 1000;
        if (due !== null && due.at <= now) due.task();
      }
      await settled();
    },
  };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("publishing checkpoints", () => {
  it("tells a change within a second, once, retained", async () => {
    const { published, change, pass } = bench();
    await pass(3);
    change("two");
    await pass(1);
    expect(published).toEqual(["books/audit/checkpoint one retained", "books/audit/checkpoint two retained"]);
  });

  it("tells at most one a second, the newest", async () => {
    const { published, change, pass } = bench();
    await pass(1);
    change("two");
    change("three");
    await pass(5);
    expect(published.map((line) => line.split(" ")[1])).toEqual(["one", "three"]);
  });

  it("is heard once a minute when nothing changes", async () => {
    const { published, pass } = bench();
    await pass(181);
    expect(published).toHaveLength(4);
  });

  it("tells again at once what was cosigned, and to a broker that has come back", async () => {
    const { published, publisher, change, pass, reconnect } = bench();
    await pass(2);
    change("one, cosigned");
    await publisher.republish();
    reconnect();
    await pass(2);
    expect(published.length).toBeGreaterThanOrEqual(3);
  });

  it("tells nobody while the hub is away, and everybody once when it is back", async () => {
    const { published, publisher, link, change, pass, reconnect } = bench();
    const heard: string[] = [];
    publisher.onTold((note) => heard.push(note));
    await pass(1);
    link.connected = false;
    change("two");
    await pass(150);
    expect(heard).toEqual(["one"]);
    link.connected = true;
    reconnect();
    await pass(2);
    expect(heard).toEqual(["one", "two"]);
    expect(published).toEqual(heard.map((note) => `books/audit/checkpoint ${note} retained`));
  });

  it("tells how the key was changed, before the checkpoint that the new one signs", async () => {
    const { published, change, rotate, pass, reconnect } = bench();
    await pass(1);
    rotate(["a note"]);
    change("two");
    await pass(2);
    const told = 'books/audit/rotations {"v":1,"rotations":["a note"]} retained';
    expect(published.slice(1)).toEqual([told, "books/audit/checkpoint two retained"]);
    reconnect();
    await pass(1);
    expect(published.filter((line) => line === told)).toHaveLength(2);
  });

  it("tells what is new at its end", async () => {
    const { published, publisher, change, pass } = bench();
    await pass(1);
    change("last");
    await publisher.stop();
    expect(published.at(-1)).toContain("last");
  });
});
