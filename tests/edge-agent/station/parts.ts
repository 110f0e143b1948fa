import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { v7 } from "uuid";
import { breathe } from "../../../edge-agent/breathe.ts";
import { createEntryIntake } from "../../../edge-agent/door/entry-intake.ts";
import { tidyUp } from "../../../edge-agent/housekeeping.ts";
import { startStation } from "../../../edge-agent/station/start-station.ts";
import type { ErrorCode } from "../../../lib/contracts/errors.ts";
import type { Receipt } from "../../../lib/contracts/events.ts";
import { openLevel } from "../../../lib/storage/level/database.ts";
import { Outbox } from "../../../lib/storage/outbox/outbox.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { openPasswords } from "../../../lib/runtime/passwords.ts";
import { openLink } from "../../../lib/messaging/link.ts";
import { CHEAP } from "../../support/directory.ts";
import { startTestHub } from "../../support/hub.ts";
import { SILENT } from "../../support/silent.ts";
import { signedOf } from "../../support/signed-of.ts";
import { fakeTiming } from "../support/fake-timing.ts";

export const MACHINE = "ipc-07";
export const PASSWORD = "a long enough password";

/** A station with a real outbox on a real disk, beside a real hub that can be taken out of its reach. */
export async function openTestStation() {
  const clock = { now: Date.parse("2026-11-24T08:00:00.000Z") };
  const now = () => clock.now;
  const folder = await mkdtemp(join(tmpdir(), "rastro-station-"));
  const hub = await startTestHub({ now });
  const database = await openLevel(join(folder, "outbox"));
  const store = await Store.onDatabase(database, folder);
  const place = { store, name: MACHINE, app: "edge-agent@test", sign: null, random: randomBytes, now };
  const entries = await Outbox.open({ ...place, book: "production" });
  const acts = await Outbox.open({ ...place, book: "audit" });
  const clockState = () => ({ source: "ntp", offsetMs: 0 }) as const;
  const tz = "America/Sao_Paulo";
  const moment = () => ({ id: v7(), at: new Date(now()).toISOString(), tz, clock: clockState() });
  const made = { machine: MACHINE, tz, now, newId: () => v7(), clockState, breathe };
  const intake = createEntryIntake({ store, outbox: entries, ...made });
  const timing = fakeTiming();
  const reach = { url: hub.directoryUrl };
  const station = await startStation({
    machine: MACHINE,
    app: "edge-agent@test",
    tz,
    port: 0,
    offlineMs: 7 * 86_400_000,
    idleMs: 12 * 3_600_000,
    store,
    entries,
    acts,
    intake,
    moment,
    now,
    random: randomBytes,
    every: timing.every,
    log: SILENT,
    verifiersFile: join(folder, "station.json"),
    depth: () => [{ book: "production", ...entries.depth(), lastError: null }],
    hubInReach: () => reach.url === hub.directoryUrl,
    directoryUrl: () => reach.url,
    openLink: ({ user: name, token }) =>
      openLink({ url: hub.url, name, password: () => token, log: SILENT, random: randomBytes }),
    openPasswords: () => openPasswords({ cost: CHEAP, random: randomBytes }),
    hubTime: { offsetMs: () => 0 },
  });
  onTestFinished(async () => {
    await station.close();
    await hub.close();
    await store.close();
    await rm(folder, { recursive: true });
  });

  let cookie = "";
  const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const answer = await station.routes.fetch(
      new Request(`http://127.0.0.1:7070/station${path}`, {
        method,
        headers: { host: "127.0.0.1:7070", "content-type": "application/json", cookie, ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
    const set = answer.headers.get("set-cookie");
    if (set !== null) cookie = set.split(";")[0] ?? "";
    const text = await answer.text();
    return { status: answer.status, set, body: text === "" ? null : (JSON.parse(text) as Record<string, unknown>) };
  };
  const read = async (outbox: Outbox) =>
    (await outbox.read({ from: null, maxEvents: 100, maxBytes: 1e9 })).map((one) => signedOf(one).event);
  return {
    hub,
    clock,
    timing,
    ask,
    signIn: (user: string, password = PASSWORD) => ask("POST", "/session", { user, password }),
    /** Nothing listens there. */
    cutOff: () => void (reach.url = "http://127.0.0.1:1"),
    reconnect: () => void (reach.url = hub.directoryUrl),
    pointAt: (url: string) => void (reach.url = url),
    /** Events that wait for each book. */
    entries: () => read(entries),
    acts: () => read(acts),
    settle: (id: string, status: Receipt["status"], code?: ErrorCode) => entries.settle([receiptOf(id, status, code)]),
    depth: () => entries.depth(),
    /** The disk has no room until the returned function is called. */
    fillDisk: () => {
      const write = database.batch.bind(database);
      database.batch = () => Promise.reject(new Error("IO error: outbox/000003.log: No space left on device"));
      return () => void (database.batch = write);
    },
    tidy: () => tidyUp({ store, outboxes: [entries, acts], entries, secondDisk: { covered: () => null } }),
  };
}

function receiptOf(id: string, status: Receipt["status"], code?: ErrorCode): Receipt {
  const leaf = createHash("sha256").update(id).digest("hex");
  return { id, status, book: "production", seq: 7, leaf, ...(code === undefined ? {} : { code }) };
}
