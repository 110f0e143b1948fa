import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RequestInput } from "../../../lib/contracts/operations.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import { createKey } from "../../../lib/runtime/keys.ts";
import { sign } from "../../../lib/ledger/signature.ts";
import { Book } from "../../../lib/storage/book/book.ts";
import { Outbox } from "../../../lib/storage/outbox/outbox.ts";
import { createReasonReader } from "../../../lib/storage/people/sealed-reason.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { type Caller, createChanges } from "../../../services/production/changes.ts";
import { createReads } from "../../../services/production/reads.ts";
import { followRecords } from "../../../services/production/record.ts";
import { openViews } from "../../../services/production/views.ts";
import { fields, MARIA, NAMES, NOW, uuid } from "./samples.ts";
import { signedOf } from "../../support/signed-of.ts";

/* The handlers of production over a real store, without a hub: what a request does once it has been parsed. */

export const CALLER: Caller = { sub: MARIA, profile: "supervisor", session: "s-1", auth: "session" };

/** Makes the stores that the handlers have to do the same on. */
export const STORES = [
  ["memory", async () => ({ store: await Store.inMemory(), remove: async () => {} })],
  ["LevelDB", openInFolder],
] as const;

async function openInFolder() {
  const folder = await mkdtemp(join(tmpdir(), "rastro-production-"));
  return { store: await Store.openFolder(folder), remove: () => rm(folder, { recursive: true }) };
}

export type Desk = Awaited<ReturnType<typeof openDesk>>;

export async function openDesk(open: () => Promise<{ store: Store; remove: () => Promise<void> }>) {
  const { store, remove } = await open();
  const clock = { now: NOW };
  const now = () => clock.now;
  const key = createKey();
  const signBytes = (bytes: Uint8Array) => sign(key.privateKey, bytes);
  const self = {
    name: "production",
    app: "production@test",
    sign: signBytes,
    key: key.fingerprint,
    tz: "America/Sao_Paulo",
    now,
  };
  const personal = new Map([[MARIA, randomBytes(32)]]);
  const personKeys = {
    of: async (sub: string) => {
      const personKey = personal.get(sub);
      return personKey === undefined ? null : { key: personKey };
    },
  };
  const book = await Book.open({ store, name: "production", origin: "plant-1/production" });
  const outbox = await Outbox.open({
    store,
    book: "audit",
    name: "production",
    app: self.app,
    sign: signBytes,
    random: randomBytes,
    now,
  });
  followRecords({ book, outbox });
  const views = openViews(store);
  let made = 900;
  const newId = () => uuid((made += 1));
  const changes = createChanges({ store, book, newId, names: NAMES, personKeys, views, self, sign: signBytes });
  const reads = createReads({ views, book, names: NAMES, readReason: createReasonReader(personKeys) });
  return {
    ...changes,
    ...reads,
    store,
    book,
    self,
    outbox,
    clock,
    key,
    personal,
    async waiting() {
      const entries = await outbox.read({ from: null, maxEvents: 1000, maxBytes: 10_000_000 });
      return entries.map(signedOf);
    },
    async close() {
      await store.close();
      await remove();
    },
  };
}

export function addition(number: number, given: Parameters<typeof fields>[0] = {}) {
  return { id: uuid(number), at: new Date(NOW).toISOString(), tz: "America/Sao_Paulo", fields: fields(given) };
}

export const REASON: RequestInput<"production", "entry-void">["reason"] = {
  code: "COUNT_FIX",
  text: "counted again by two people",
};

/** The problem that a promise is refused with; a failure if it is not. */
export async function problemOf(refused: Promise<unknown>) {
  const thrown: unknown = await refused.then(
    () => null,
    (error: unknown) => error,
  );
  if (thrown instanceof RastroError) return thrown.problem;
  throw new Error(`expected a refusal, got ${String(thrown)}`);
}
