import { readdir } from "node:fs/promises";
import { z } from "zod";
import { Receipt } from "../../lib/contracts/events.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import { parseCheckpoint } from "../../lib/ledger/checkpoint.ts";
import type { VerifierKey } from "../../lib/ledger/signed-note.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import { logOrigin, readLogPublicKey } from "../../lib/runtime/log-keys.ts";
import type { KnownHead } from "../../lib/storage/backup/known.ts";
import { keys } from "../../lib/storage/keys.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { PRODUCTION_SEEN } from "../../services/audit/witnesses/production-log.ts";
import { readClosed } from "./read-closed.ts";
import { retainedCheckpoint } from "./retained-checkpoints.ts";
import { witnessesHere } from "./witnesses-here.ts";

const Settled = z.object({ receipt: Receipt });

/**
 * What lies in other places of this data folder about how far a book had come: with the witnesses, retained at the hub,
 * in the audit book about production's, and in the receipts of those who told the book something. Called while nothing
 * runs; a store that cannot be read says nothing.
 */
export async function knownHere(folders: Folders, plant: string, book: BookName): Promise<KnownHead[]> {
  const heads = [
    ...(await witnessesHere(folders, logOrigin(plant, book))),
    ...(await retainedHere(folders, book)),
    ...(await seenByAudit(folders, book)),
    ...(await receiptsHere(folders, book)),
  ];
  return heads;
}

/** The keys of a log as they lie here; none where they are gone. */
export function logKeysHere(folders: Pick<Folders, "logPublicKey">, book: BookName): Promise<readonly VerifierKey[]> {
  return readLogPublicKey(folders.logPublicKey(book)).catch(() => []);
}

async function retainedHere(folders: Folders, book: BookName): Promise<KnownHead[]> {
  const logKeys = await logKeysHere(folders, book);
  const checkpoint = await readClosed(folders.mqttSessions, (store) => retainedCheckpoint(store, book, logKeys));
  return checkpoint === null ? [] : [{ ...checkpoint.head, by: "the hub's retained checkpoint" }];
}

async function seenByAudit(folders: Folders, book: BookName): Promise<KnownHead[]> {
  if (book !== "production") return [];
  const head = await readClosed(folders.bookStore("audit"), async (store) => {
    const note = await store.get(PRODUCTION_SEEN);
    return note === undefined ? null : parseCheckpoint(note.toString("utf8")).head;
  });
  return head === null ? [] : [{ ...head, by: "the audit service" }];
}

async function receiptsHere(folders: Folders, book: BookName): Promise<KnownHead[]> {
  const machines = await readdir(folders.agents).catch(() => []);
  const senders: [name: string, folder: string][] = [
    ["production", folders.bookStore("production")],
    ["fleet", folders.fleet],
    ["the directory", folders.directory],
    ["the hub", folders.access],
    ...machines.map((machine): [string, string] => [machine, folders.agentOutbox(machine)]),
  ];
  const heads: KnownHead[] = [];
  for (const [name, folder] of senders) {
    const seq = await readClosed(folder, (store) => newestReceipt(store, book));
    if (seq !== null) heads.push({ size: seq + 1, root: null, by: `a receipt that ${name} has` });
  }
  return heads;
}

/** Of the newest event in an outbox only: it is told again at each start, so that its receipt is of the book of now. */
async function newestReceipt(store: Pick<Store, "range">, book: BookName): Promise<number | null> {
  const range = { gte: keys.outbox.receipt(book, 0), lt: keys.outbox.receipt(book, Number.MAX_SAFE_INTEGER) };
  for await (const [, value] of store.range({ ...range, reverse: true, limit: 1 })) {
    return parseJson(Settled, value, "a receipt").receipt.seq;
  }
  return null;
}
