import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { RastroError } from "../../../lib/contracts/errors.ts";
import { parseCheckpoint } from "../../../lib/ledger/checkpoint.ts";
import { type After, after } from "../../../lib/messaging/timing.ts";
import { keys } from "../../../lib/storage/keys.ts";
import { Mirror } from "../../../lib/storage/copy/mirror.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { type FetchPiece, fetchQuarantine } from "../../../services/standby/fetch-quarantine.ts";
import { rowsOf } from "../../support/book-rows.ts";
import { type LogToFollow, logToFollow } from "../../support/log-to-follow.ts";
import { SILENT } from "../../support/silent.ts";

describe("fetching what a book has set apart", () => {
  let log: LogToFollow;
  let store: Store;
  let mirror: Mirror;
  /** Every question, and what answers it; a test may change it. */
  let asked: { digest: string; offset: number }[];
  let answer: FetchPiece;
  let told: () => void;

  beforeEach(async () => {
    log = await logToFollow();
    store = await Store.inMemory();
    mirror = Mirror.open({ store, name: "audit", now: Date.now });
    asked = [];
    // Pieces of four bytes.
    answer = async (digest, offset) => {
      const bytes = (await log.store.get(keys.quarantine(digest)))?.subarray(8) ?? Buffer.alloc(0);
      const next = offset + 4 < bytes.length ? offset + 4 : null;
      return { piece: bytes.subarray(offset, offset + 4), next };
    };
    told = () => undefined;
    for (const raw of ["first of all", "second", [3, "third"]]) await log.setApart(raw);
  });

  async function prove(): Promise<void> {
    const checkpoint = parseCheckpoint(log.checkpoint());
    await mirror.note(checkpoint);
    await mirror.append(log.read(mirror.held, 1000));
    expect(await mirror.prove(checkpoint)).toBe(true);
  }

  // What is tested is that it tries again, not how long it waits.
  function start(wait: After = (_ms, task) => after(0, task)) {
    return fetchQuarantine({
      book: "audit",
      mirror,
      quarantine: mirror.quarantine,
      fetch: async (digest, offset) => {
        asked.push({ digest: digest.toString("hex"), offset });
        told();
        return answer(digest, offset);
      },
      after: wait,
      random: randomBytes,
      log: SILENT,
    });
  }

  const kept = () => rowsOf(store, "q");
  const until = (condition: () => Promise<boolean>) =>
    vi.waitFor(async () => expect(await condition()).toBe(true), { interval: 5, timeout: 5000 });

  it("fetches it in pieces, once it is proven, and what comes later too", async () => {
    await mirror.append(log.read(0, 1000));
    const fetcher = start();
    await until(async () => (await store.get(Buffer.from("s/wanted-looked"))) !== undefined);
    expect(asked, "nothing of it is proven").toEqual([]);
    await prove();
    fetcher.changed();
    await until(async () => (await kept()).length === 3);
    expect(await kept()).toEqual(await rowsOf(log.store, "q"));
    await log.setApart("late");
    await prove();
    fetcher.changed();
    await until(async () => (await kept()).length === 4);
    await until(async () => fetcher.wanted() === 0);
    await fetcher.close();
  });

  it("tries again what failed", async () => {
    await prove();
    const { length } = await mirror.quarantine.wanted(mirror.held);
    const right = answer;
    let tries = 0;
    answer = async (digest, offset) => {
      tries += 1;
      if (tries < 5) throw new Error("the service is away");
      return right(digest, offset);
    };
    const fetcher = start();
    await until(async () => (await kept()).length === length);
    expect(tries).toBeGreaterThan(5);
    await fetcher.close();
  });

  it("passes over what the book has not itself or has otherwise, and asks again at the next start", async () => {
    await prove();
    const [lost, other] = await mirror.quarantine.wanted(mirror.held);
    const right = answer;
    answer = async (digest, offset) => {
      if (digest.equals(lost?.digest ?? digest)) throw new RastroError({ code: "unknown_record", message: "gone" });
      const { piece, next } = await right(digest, offset);
      return digest.equals(other?.digest ?? digest) ? { piece: Buffer.alloc(piece.length), next } : { piece, next };
    };
    const fetcher = start();
    await until(async () => (await kept()).length === 1);
    const before = asked.length;
    await log.setApart("late");
    await prove();
    fetcher.changed();
    await until(async () => (await kept()).length === 2);
    expect(fetcher.wanted()).toBe(2);
    expect(new Set(asked.slice(before).map(({ digest }) => digest)).size, "only the late one").toBe(1);
    await fetcher.close();

    answer = right;
    const again = start();
    await until(async () => (await kept()).length === 4);
    await again.close();
  });

  it("asks for no more than there is, whatever is answered", async () => {
    await prove();
    answer = async (_digest, offset) => ({ piece: Buffer.alloc(4), next: offset + 4 });
    const fetcher = start();
    // Of 14, 8 and 11 bytes in pieces of four.
    await until(async () => asked.length === 4 + 2 + 3);
    await fetcher.close();
    expect(asked).toHaveLength(9);
    expect(await kept()).toEqual([]);
  });

  it("fetches what is wanted before it stops", async () => {
    await prove();
    const fetcher = start(after);
    await fetcher.close();
    expect(await kept()).toHaveLength(3);
  });

  it("stops while an answer does not come", async () => {
    await prove();
    const isAsked = Promise.withResolvers<void>();
    told = isAsked.resolve;
    answer = () => new Promise<never>(() => undefined);
    const fetcher = start();
    await isAsked.promise;
    await fetcher.close();
    expect(await kept()).toEqual([]);
  });
});
