import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cosignersOf, formatTreeHead, parseCheckpoint, signedBy } from "../../../../lib/ledger/checkpoint.ts";
import { cosign } from "../../../../lib/ledger/cosignature.ts";
import { formatHeadNote } from "../../../../lib/ledger/head-note.ts";
import { rawPublicKey } from "../../../../lib/ledger/signature.ts";
import { formatSignature, SIGNATURE_TYPES, verifierKey } from "../../../../lib/ledger/signed-note.ts";
import { foldersOf } from "../../../../lib/runtime/folders.ts";
import { type LogKeys, openLogKeys } from "../../../../lib/runtime/log-keys.ts";
import { Book } from "../../../../lib/storage/book/book.ts";
import { Checkpoints, encodeKept } from "../../../../lib/storage/book/checkpoints.ts";
import { NoteFile } from "../../../../lib/storage/book/note-file.ts";
import { HEAD_KEY, keys } from "../../../../lib/storage/keys.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { idOf, inputFor, signer } from "../../../suites/events.ts";
import { keyOfSeed } from "../../ledger/keys.ts";

const ORIGIN = "plant-1/audit";
const HOUR = 60 * 60_000;
const machine = signer("ipc-07");

describe("the checkpoints of a book", () => {
  let folder: string;
  let store: Store;
  let logKeys: LogKeys;
  let book: Book;
  let checkpoints: Checkpoints;
  let now: number;

  beforeEach(async () => {
    now = Date.parse("2026-11-24T12:00:00Z");
    folder = await mkdtemp(join(tmpdir(), "rastro-checkpoints-"));
    store = await Store.openFolder(join(folder, "store"));
    logKeys = await openLogKeys({ folders: foldersOf(folder), book: "audit", plant: "plant-1" });
    await open();
  });
  afterEach(async () => {
    await book.close();
    await store.close();
    await rm(folder, { recursive: true });
  });

  const headNote = () => join(folder, "head.note");
  async function open(): Promise<void> {
    book = await Book.open({ store, name: "audit", origin: ORIGIN, headNote: headNote(), signer: logKeys });
    checkpoints = await Checkpoints.open({ store, head: () => book.logHead(), signer: logKeys, now: () => now });
  }
  async function reopen(): Promise<void> {
    await book.close();
    await store.close();
    store = await Store.openFolder(join(folder, "store"));
    await open();
  }
  async function add(count: number): Promise<void> {
    const { size } = book.head();
    for (let n = size; n < size + count; n += 1)
      await store.write((tx) => book.append(tx, inputFor(n, machine), idOf(n)));
  }
  const cosignature = (seed: number, time: number) => {
    const { note } = checkpoints.latest() ?? { note: "" };
    const text = parseCheckpoint(note).note.text;
    return formatSignature(cosign(text, { name: `w${seed}`, privateKey: keyOfSeed(seed), time }));
  };
  const witness = (seed: number) => verifierKey(`w${seed}`, SIGNATURE_TYPES.cosignature, rawPublicKey(keyOfSeed(seed)));

  it("say what the book is, signed, and nothing new while it stays", async () => {
    await add(3);
    const issued = await checkpoints.issue();
    expect(issued.isNew).toBe(true);
    expect(issued.checkpoint.head).toMatchObject(book.logHead());
    expect(signedBy(issued.checkpoint, logKeys.known())).toHaveLength(1);
    expect((await checkpoints.issue()).isNew).toBe(false);
    await add(1);
    expect(await checkpoints.issue()).toMatchObject({ isNew: true, checkpoint: { head: { size: 4 } } });
  });

  it("are there again after a restart, with their cosignatures", async () => {
    await add(2);
    await checkpoints.issue();
    await Promise.all([
      checkpoints.addCosignatures(2, cosignature(5, 1000)),
      checkpoints.addCosignatures(2, cosignature(6, 1001)),
    ]);
    await checkpoints.addCosignatures(2, cosignature(5, 2000));
    const { note } = checkpoints.latest() ?? { note: "" };
    await reopen();
    expect(checkpoints.latest()?.note).toBe(note);
    const times = cosignersOf(parseCheckpoint(note), [witness(5), witness(6)]).map(({ time }) => time);
    expect(times).toEqual([2000, 1001]);
    expect(parseCheckpoint(note).note.text).toBe(formatTreeHead(book.logHead()));
    expect((await checkpoints.issue()).isNew).toBe(false);
  });

  it("take cosignatures of an earlier one, and of none that is not kept", async () => {
    await add(1);
    await checkpoints.issue();
    const late = cosignature(5, 1000);
    await add(1);
    await checkpoints.issue();
    await checkpoints.addCosignatures(1, late);
    expect(checkpoints.at(1)?.note).toContain("w5");
    expect(checkpoints.latest()?.note).not.toContain("w5");
    expect(await checkpoints.addCosignatures(7, late)).toBeNull();
  });

  it("are kept all for an hour, then the last of each", async () => {
    for (let minute = 0; minute < 180; minute += 20) {
      now = Date.parse("2026-11-24T12:00:00Z") + minute * 60_000;
      await add(1);
      await checkpoints.issue();
    }
    now += HOUR;
    await checkpoints.prune();
    const kept: number[] = [];
    for await (const { checkpoint } of checkpoints.all()) kept.push(checkpoint.head.size);
    expect(kept).toEqual([3, 6, 9]);
  });

  it("verify their own newest once, at the start, and compare ids of keys from then on", async () => {
    await add(2);
    await checkpoints.issue();
    let verified = 0;
    const known = () => {
      verified += 1;
      return logKeys.known();
    };
    const signer = { ...logKeys, known };
    const others = await Checkpoints.open({ store, head: () => book.logHead(), signer, now: () => now });
    for (let second = 0; second < 5; second += 1) expect((await others.issue()).isNew).toBe(false);
    expect(verified).toBe(1);
    await logKeys.rotate();
    expect((await others.issue()).isNew).toBe(true);
    expect((await others.issue()).isNew).toBe(false);
    expect(verified).toBe(1);
  });

  it("are signed anew after a start where the signature on the disk does not fit", async () => {
    await add(2);
    const { note } = await checkpoints.issue();
    const [text = "", lines = ""] = note.split("\n\n");
    const [dash, name, encoded = ""] = lines.trimEnd().split(" ");
    const signature = Buffer.from(encoded, "base64");
    signature.writeUInt8(signature.readUInt8(40) ^ 1, 40);
    const spoiled = `${text}\n\n${dash} ${name} ${signature.toString("base64")}\n`;
    await store.write((tx) => tx.put(keys.checkpoint(2), encodeKept({ note: spoiled, madeAt: now })));
    await reopen();
    expect(checkpoints.latest()?.note).toBe(spoiled);
    expect(await checkpoints.issue()).toMatchObject({ isNew: true, note });
  });

  it("sign with the old and the new key while a rotation lasts", async () => {
    await add(1);
    await checkpoints.issue();
    await logKeys.rotate();
    await book.signAnew();
    const issued = await checkpoints.issue();
    expect(issued.isNew).toBe(true);
    expect(signedBy(issued.checkpoint, logKeys.known())).toHaveLength(2);
    await logKeys.retire();
    await reopen();
    expect(book.damage).toBeNull();
    await add(1);
    expect(signedBy((await checkpoints.issue()).checkpoint, logKeys.known())).toHaveLength(1);
  });

  it("show at the opening that the book was cut or rewritten behind them", async () => {
    await add(3);
    const head = store.getNow(HEAD_KEY) as Buffer;
    await add(2);
    await checkpoints.issue();
    // An attacker with the store but not the key: head, records and note of two records ago.
    await store.write((tx) => {
      tx.put(HEAD_KEY, head);
      for (const seq of [3, 4]) tx.del(keys.record(seq));
    });
    const note = new NoteFile(headNote());
    const { root } = book.logHead();
    await note.write(formatHeadNote({ origin: ORIGIN, size: 3, root }));
    await note.close();
    await reopen();
    expect(book.damage).toMatch(/^unsigned: no key of the log signed the head note/);
    const other = new NoteFile(headNote());
    await other.write(checkpoints.latest()?.note ?? "");
    await other.close();
    await reopen();
    expect(book.damage).toMatch(/^truncated: /);
  });

  it("take the unsigned note of a book that has never signed", async () => {
    await add(2);
    const note = new NoteFile(headNote());
    await note.write(formatHeadNote(book.logHead()));
    await note.close();
    await reopen();
    expect(book.damage).toBeNull();
  });
});
