import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type Directory, openDirectory } from "../../broker/directory/directory.ts";
import { type Erasures, erasuresInMemory, openErasures } from "../../broker/directory/erasures.ts";
import { sign, verifySignature } from "../../lib/ledger/signature.ts";
import { createKey } from "../../lib/runtime/keys.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { signedOf } from "./signed-of.ts";
import { SILENT } from "./silent.ts";

/** Hashing a password for real takes a quarter of a second; in tests it is the real algorithm at its lowest cost. */
export const CHEAP = { memoryCost: 1024, timeCost: 2 };
export const PLANT = { id: "plant-test", createdAt: "2026-11-24T05:44:05.000Z" };
export const LOCAL_KEY = "the-key-in-the-file-of-the-local-administrator";

/** A directory alone, with a clock that the test sets. Closed and removed with the test. */
export type TestDirectory = {
  directory: Directory;
  clock: { now: number };
  store: Store;
  keyStore: Store;
  /** Whether a staged event carries the signature of the directory's service key. */
  isSigned: (bytes: Uint8Array, signature: string) => boolean;
  /** Closes both stores and opens the directory on them again; only on a folder. */
  reopen: () => Promise<TestDirectory>;
};

export async function testDirectory(kind: "memory" | "level" = "memory"): Promise<TestDirectory> {
  const clock = { now: Date.parse("2026-11-24T08:00:00.000Z") };
  if (kind === "memory") {
    const stores = { store: await Store.inMemory(), keyStore: await Store.inMemory(), erasures: erasuresInMemory() };
    return open(clock, stores, () => Promise.reject(new Error("a store in memory cannot be opened again")));
  }
  const folder = await mkdtemp(join(tmpdir(), "rastro-directory-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return openOn(clock, folder);
}

async function openOn(clock: { now: number }, folder: string): Promise<TestDirectory> {
  const store = await Store.openFolder(join(folder, "directory"));
  const keyStore = await Store.openFolder(join(folder, "people-keys"));
  const erasures = await openErasures(join(folder, "erasures.jsonl"));
  return open(clock, { store, keyStore, erasures }, () => openOn(clock, folder));
}

async function open(
  clock: { now: number },
  stores: { store: Store; keyStore: Store; erasures: Erasures },
  again: () => Promise<TestDirectory>,
): Promise<TestDirectory> {
  const key = createKey();
  const directory = await openDirectory({
    ...stores,
    plant: PLANT,
    tz: "America/Sao_Paulo",
    localKey: `${LOCAL_KEY}\n`,
    sign: (bytes) => sign(key.privateKey, bytes),
    log: SILENT,
    now: () => clock.now,
    random: randomBytes,
    passwordCost: CHEAP,
  });
  let open = true;
  const close = async () => {
    if (!open) return;
    open = false;
    await stores.store.close();
    await stores.keyStore.close();
  };
  onTestFinished(close);
  return {
    directory,
    clock,
    ...stores,
    isSigned: (bytes, signature) => verifySignature(key.publicRaw, bytes, signature),
    async reopen() {
      await close();
      return again();
    },
  };
}

/** All events that wait in the directory's outbox. */
export async function stagedEvents(directory: Directory) {
  const entries = await directory.outbox.read({ from: null, maxEvents: 1000, maxBytes: 10_000_000 });
  return entries.map(signedOf);
}
