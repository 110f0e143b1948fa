import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ExportFilter } from "../../../../lib/contracts/export.ts";
import { findOperation } from "../../../../lib/contracts/operations.ts";
import { cosign } from "../../../../lib/ledger/cosignature.ts";
import { leafHash } from "../../../../lib/ledger/hash.ts";
import { formatSignature } from "../../../../lib/ledger/signed-note.ts";
import { parseTlogProof, provesLeaf } from "../../../../lib/ledger/tlog-proof.ts";
import { Book } from "../../../../lib/storage/book/book.ts";
import { Checkpoints } from "../../../../lib/storage/book/checkpoints.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { takeAway, type TakeAwayHandlers } from "../../../../lib/storage/export/take-away.ts";
import { proofFile } from "../../../../tools/export/proof-file.ts";
import { idOf, inputFor, NOW, signer } from "../../../suites/events.ts";
import { logKeysOf } from "../../../support/log-keys.ts";
import { keyOfSeed } from "../../ledger/keys.ts";

const machine = signer("ipc-07");
const caller = { sub: `p-${"d".repeat(32)}`, auth: "session" as const };
const filter = ExportFilter.parse({});

describe("what is taken away", () => {
  let store: Store;
  let book: Book;
  let checkpoints: Checkpoints;
  let handlers: TakeAwayHandlers;
  let now: number;

  beforeEach(async () => {
    now = NOW;
    store = await Store.inMemory();
    const signer = logKeysOf("test/production");
    book = await Book.open({ store, name: "production", origin: signer.origin });
    checkpoints = await Checkpoints.open({ store, head: () => book.logHead(), signer, now: () => now });
    handlers = takeAway({
      store,
      book,
      names: { byName: () => undefined },
      words: async () => ({ who: null, text: null }),
      tell: async () => undefined,
      onUntold: () => undefined,
      newId: v7,
      self: { now: () => NOW, tz: "UTC" },
    });
    for (let n = 0; n < 3; n += 1) await add(n);
  });
  afterEach(() => store.close());

  const add = (n: number) => store.write((tx) => book.append(tx, inputFor(n, machine), idOf(n)));
  const sizeOf = (checkpoint: string | null) => Number(checkpoint?.split("\n")[1]);

  async function cosignBy(...seeds: number[]): Promise<void> {
    const { checkpoint } = await checkpoints.issue();
    const lines = seeds.map((seed) =>
      formatSignature(
        cosign(checkpoint.note.text, { name: `w${seed}`, privateKey: keyOfSeed(seed), time: 1_795_500_000 }),
      ),
    );
    await checkpoints.addCosignatures(checkpoint.head.size, lines.join(""));
  }

  const beginExport = () =>
    handlers["book-export"](
      {
        filter,
        format: "jsonl",
        names: false,
      },
      caller,
      () => undefined,
    );

  it("is an export without checkpoint, and no proof, while there is none", async () => {
    expect(await beginExport()).toMatchObject({ size: 3, checkpoint: null });
    await expect(handlers["book-prove"]({ seq: 1 })).rejects.toMatchObject({ code: "no_checkpoint" });
    await checkpoints.issue();
    await add(3);
    await expect(handlers["book-prove"]({ seq: 3 })).rejects.toMatchObject({ code: "no_checkpoint" });
    await expect(handlers["book-prove"]({ seq: 4 })).rejects.toMatchObject({ code: "unknown_record" });
    await expect(handlers["book-prove"]({ id: idOf(99) })).rejects.toMatchObject({ code: "unknown_record" });
  });

  it("leads to the checkpoint that the most have signed, and of those to the newest", async () => {
    await cosignBy(2);
    await add(3);
    await cosignBy(2, 3);
    await add(4);
    await cosignBy(4);
    await add(5);
    await checkpoints.issue();
    expect(sizeOf((await handlers["book-prove"]({ seq: 1 })).checkpoint)).toBe(4);
    expect(sizeOf((await handlers["book-prove"]({ seq: 4 })).checkpoint)).toBe(5);
    expect(sizeOf((await handlers["book-prove"]({ seq: 5 })).checkpoint)).toBe(6);
    const begun = await beginExport();
    expect([begun.size, sizeOf(begun.checkpoint)]).toEqual([4, 4]);

    // A witness that is gone for long must not keep an export from showing what came since.
    now += 11_000;
    await add(6);
    await checkpoints.issue();
    expect((await beginExport()).size).toBe(7);
    expect(sizeOf((await handlers["book-prove"]({ seq: 1 })).checkpoint)).toBe(4);
  });

  it("is a proof that holds as a file, of every record", async () => {
    await cosignBy(2);
    for (let seq = 0; seq < 3; seq += 1) {
      const answer = await handlers["book-prove"]({ id: idOf(seq) });
      expect(findOperation("production", "book-prove")?.response.parse(answer)).toEqual(answer);
      const { text, signers } = proofFile(answer);
      expect(signers).toEqual(["test/production", "w2"]);
      const proof = parseTlogProof(text);
      expect(provesLeaf(proof, leafHash(proof.extra ?? Buffer.alloc(0)))).toBe(true);
    }
  });

  it("is no file that does not hold", async () => {
    await cosignBy(2);
    const answer = await handlers["book-prove"]({ seq: 1 });
    const path = answer.path.with(0, "00".repeat(32));
    expect(() => proofFile({ ...answer, path })).toThrow(/does not lead to its checkpoint/);
  });
});
