import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { v7 as newId } from "uuid";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { BookName } from "../../lib/contracts/names.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { Receipt } from "../../lib/contracts/events.ts";
import { type Link, openLink } from "../../lib/messaging/link.ts";
import { createRequester } from "../../lib/messaging/request-client.ts";
import { openLogKeys } from "../../lib/runtime/log-keys.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import { Book } from "../../lib/storage/book/book.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { type Plant, type ProcessName, startPlant } from "../support/plant.ts";
import { random } from "../support/random.ts";

const ROUNDS = Number(process.env["RASTRO_CRASH_ROUNDS"] ?? 10);
const SEED = Number(process.env["RASTRO_CRASH_SEED"] ?? Date.now() % 1_000_000);
/** Entries a round: half of them ask production as a person, half go through the agent's door and outbox. */
const BY_REQUEST = 16;
const BY_DOOR = 16;
const AT_ONCE = 4;
const VICTIMS: ProcessName[] = ["production", "audit", "edge-agent", "broker"];

/*
 * Kills one of the four processes with SIGKILL at a random moment of each round while entries flow on both ways in.
 * Whoever makes an entry repeats it with the same id until there is a receipt, as the command line and the outbox do.
 *
 * SIGKILL does not test fsync (the page cache survives): unsynced writes dropped are tested in tests/lib/storage.
 */
describe(`crash test, ${ROUNDS} rounds, seed ${SEED}`, () => {
  const dice = random(SEED);
  const receipts = new Map<string, Receipt>();
  const inAudit = new Set<string>();
  let plant: Plant;
  let link: Link;
  let ask: ReturnType<typeof createRequester>;
  let doorKey: string;

  beforeAll(async () => {
    plant = await startPlant();
    const session = await plant.signInLocal();
    link = openLink({
      url: plant.settings.brokerUrl,
      name: session.user,
      password: () => session.token,
      log: pino({ level: "silent" }),
      random: randomBytes,
    });
    await link.whenConnected();
    ask = createRequester({ link, user: session.user, session: session.session, newId, now: Date.now });
    doorKey = await plant.doorKey();
  }, 60_000);

  afterAll(async () => {
    await link?.close();
    await plant?.stop();
    await plant?.remove();
  });

  it(
    "keeps every entry exactly once in both books, and every receipt that was given",
    { timeout: 60_000 + ROUNDS * 20_000 },
    async () => {
      for (let round = 0; round < ROUNDS; round += 1) await oneRound(round);
      expect(receipts.size).toBe(ROUNDS * (BY_REQUEST + BY_DOOR));

      await vi.waitFor(auditHasAll, { timeout: 30_000, interval: 100 });
      await link.close();
      await plant.stop();
      const production = await readBook("production");
      const audit = await readBook("audit");

      for (const [id, receipt] of receipts) {
        expect(production.entries.get(id), `${id} in the production book`).toEqual([receipt.seq]);
        expect(production.leaves.get(receipt.seq), `leaf of ${id}`).toBe(receipt.leaf);
        expect(audit.entries.get(id)?.length, `${id} in the audit book`).toBe(1);
      }
      expect(production.created).toBe(receipts.size);
      expect(production.report).toMatchObject({ ok: true, damaged: [] });
      expect(audit.report).toMatchObject({ ok: true, damaged: [] });
    },
  );

  async function oneRound(round: number): Promise<void> {
    const victim = VICTIMS[dice.below(VICTIMS.length)] as ProcessName;
    const killAt = dice.below(BY_REQUEST + BY_DOOR);
    let answered = 0;
    const onAnswer = () => {
      if (answered === killAt) plant.processes[victim].kill();
      answered += 1;
    };
    await Promise.all([
      inParallel(BY_REQUEST, async (n) => {
        await enterByRequest(`R${round}`, n);
        onAnswer();
      }),
      inParallel(BY_DOOR, async (n) => {
        const id = await saveAtDoor(`D${round}`, n);
        onAnswer();
        receipts.set(id, await receiptFromDoor(id));
      }),
    ]);
  }

  async function enterByRequest(lot: string, n: number): Promise<void> {
    const body = { id: newId(), at: new Date().toISOString(), tz: "America/Sao_Paulo", fields: fieldsOf(lot, n) };
    const { receipt } = await untilItWorks(async () => {
      await link.whenConnected();
      return ask.call("production", "entry-add", body, { timeoutMs: 2000 });
    });
    receipts.set(body.id, receipt);
  }

  async function saveAtDoor(lot: string, n: number): Promise<string> {
    const id = newId();
    const body = JSON.stringify({ id, at: new Date().toISOString(), fields: fieldsOf(lot, n) });
    await untilItWorks(async () => {
      const answer = await fetch(`${plant.urlOf("edge-agent")}/entries`, { method: "POST", headers: headers(), body });
      if (answer.status !== 202) throw new Error(`the door answered ${answer.status}: ${await answer.text()}`);
    });
    return id;
  }

  async function receiptFromDoor(id: string): Promise<Receipt> {
    return vi.waitFor(
      async () => {
        const answer = await fetch(`${plant.urlOf("edge-agent")}/entries/${id}`, { headers: headers() });
        const { status } = (await answer.json()) as { status: unknown };
        return Receipt.parse(status);
      },
      { timeout: 20_000, interval: 50 },
    );
  }

  function headers() {
    return { authorization: `Bearer ${doorKey}`, "content-type": "application/json" };
  }

  /** Asked for one by one: the audit book also holds what others report, so its size does not say that all is there. */
  async function auditHasAll(): Promise<void> {
    for (const id of receipts.keys()) {
      if (!inAudit.has(id)) await ask.call("audit", "book-proof", { id });
      inAudit.add(id);
    }
  }

  async function readBook(name: BookName) {
    const folder = plant.folders[name];
    const store = await Store.openFolder(plant.folders.bookStore(name));
    try {
      const { id: plantId } = await readPlant(plant.folders.data);
      const book = await Book.open({
        store,
        name,
        origin: `${plantId}/${name}`,
        signer: await openLogKeys({ folders: plant.folders, book: name, plant: plantId }),
        headNote: plant.folders.headNote(name),
      });
      expect(book.damage, `${folder} when it was opened`).toBeNull();
      return { ...contentsOf(book), report: await book.verify({}) };
    } finally {
      await store.close();
    }
  }
});

/** Which records tell of which id. In the audit book only what production reported counts. */
function contentsOf(book: Book) {
  const entries = new Map<string, number[]>();
  const leaves = new Map<number, string>();
  let created = 0;
  for (let seq = 0; seq < book.head().size; seq += 1) {
    const { event } = book.open(seq) as { event: { id: string; type: string } };
    if (event.type === "entry.created") created += 1;
    if (event.type !== "entry.created" && event.type !== "record.booked") continue;
    entries.set(event.id, [...(entries.get(event.id) ?? []), seq]);
    leaves.set(seq, book.leafAt(seq) ?? "");
  }
  return { entries, leaves, created };
}

function fieldsOf(lot: string, good: number) {
  return { machine: "ipc-07", lot, good };
}

async function inParallel(count: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const n = next;
      next += 1;
      await work(n);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** What a process that was just killed causes is tried again; anything else is a finding. */
async function untilItWorks<T>(act: () => Promise<T>): Promise<T> {
  return vi
    .waitUntil(
      async () => {
        try {
          return { value: await act() };
        } catch (error) {
          if (isPassing(error)) return false;
          throw error;
        }
      },
      { timeout: 30_000, interval: 20 },
    )
    .then((done) => (done as { value: T }).value);
}

function isPassing(error: unknown): boolean {
  if (error instanceof RastroError) return ["timeout", "not_reachable", "busy"].includes(error.code);
  return error instanceof TypeError || (error instanceof Error && /run file|ECONN|fetch failed/.test(error.message));
}
