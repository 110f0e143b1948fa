import { randomBytes } from "node:crypto";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { prepare } from "../../broker/directory/prepare.ts";
import { parseCheckpoint, signedBy } from "../../lib/ledger/checkpoint.ts";
import { judgeCheckpoint, parsePolicy } from "../../lib/ledger/policy.ts";
import { readLogPublicKey } from "../../lib/runtime/log-keys.ts";
import { type Link, openLink } from "../../lib/messaging/link.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import { SILENT } from "../support/silent.ts";
import { Supervised } from "../support/supervised.ts";
import { type Done, rastro } from "../tools/commands/cli.ts";

/*
 * Real processes: a hub with its own agent, which never counts, and two agents on what they take for other computers.
 * One test after the other, each going on where the one before has left the plant.
 */

const WAIT = { timeout: 40_000, interval: 200 };
const PATIENT = { timeout: 120_000 };
const OTHERS = ["ipc-02", "ipc-03"];
const REASON = ["--reason", "tried in a test of witnesses"];

describe("a plant with witnesses", () => {
  const alarms = new Map<string, string>();
  const agents = new Map<string, Supervised>();
  let audit: Supervised;
  let folder: string;
  let plant: Plant;
  let link: Link;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "rastro-witnessed-"));
    // Each is registered as by a first start on its own computer.
    for (const machine of OTHERS) {
      const settings = readSettings({
        RASTRO_DATA: folder,
        RASTRO_MACHINE: machine,
        RASTRO_ADMIN_PASSWORD: "a long enough password",
      });
      await prepare({ settings, log: SILENT, now: Date.now, random: randomBytes });
    }
    plant = await startPlant("ipc-01", folder, { RASTRO_HOST_ID: "the hub's", RASTRO_WITNESS_QUORUM_SECONDS: "2" });
    audit = plant.processes.audit;
    await Promise.all(OTHERS.map(startAgent));
    const session = await plant.signInLocal();
    const { brokerUrl } = plant.settings;
    link = openLink({
      url: brokerUrl,
      name: session.user,
      password: () => session.token,
      log: SILENT,
      random: randomBytes,
    });
    await link.subscribe(["services/+/alarms/+", "machines/+/witness/+/alarm"], (topic, payload) => {
      if (payload.length === 0) alarms.delete(topic);
      else alarms.set(topic, payload.toString());
    });
  }, PATIENT.timeout);

  afterAll(async () => {
    await link?.close();
    await Promise.all([...agents.values()].map((agent) => agent.stop()));
    await audit?.stop();
    await plant?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function startAgent(machine: string): Promise<void> {
    const environment = { ...plant.environment, RASTRO_MACHINE: machine, RASTRO_HOST_ID: `that of ${machine}` };
    const agent = new Supervised(machine, "edge-agent/main.ts", environment);
    agents.set(machine, agent);
    await agent.start();
  }

  async function startAudit(): Promise<void> {
    audit = new Supervised("audit", "services/audit/main.ts", plant.environment);
    await audit.start();
  }

  const run = (...args: string[]): Promise<Done> =>
    rastro(args, { ...(plant.environment as Record<string, string>), RASTRO_URL: plant.urlOf("broker") });
  type Listed = {
    witnesses: { name: string; standing: string; logs: { book: string; size: number | null }[] }[];
    books: { book: string; size: number; troubles: string[] }[];
  };
  const list = async () => (await run("witness", "list", "--json")).json() as Listed;
  const cosigned = async (name: string) =>
    (await list()).witnesses.find((one) => one.name === name)?.logs.find(({ book }) => book === "audit")?.size ?? 0;
  const sizeOfAudit = async () =>
    (
      (await (await fetch(`${plant.urlOf("audit")}/metrics`)).text()).match(/rastro_book_records\{[^}]*\} (\d+)/) ?? []
    )[1];
  const alarm = (name: string) => alarms.get(`services/audit/alarms/${name}`);

  it("has a checkpoint of each book cosigned by a quorum, and writes down whom to trust", PATIENT, async () => {
    await vi.waitFor(async () => {
      const { witnesses } = await list();
      expect(witnesses.map(({ name, standing }) => `${name} ${standing}`)).toEqual([
        "ipc-01 own-host",
        "ipc-02 counts",
        "ipc-03 counts",
      ]);
    }, WAIT);
    const policy = parsePolicy((await run("witness", "policy")).stdout);
    expect(parsePolicy(await readFile(plant.folders.trustPolicy, "utf8"))).toEqual(policy);
    for (const book of ["audit", "production"]) {
      await vi.waitFor(async () => {
        const { stdout } = await run("audit", "checkpoint", "--book", book);
        expect(judgeCheckpoint(policy, parseCheckpoint(stdout)).refusal).toBeNull();
      }, WAIT);
    }
  });

  it("raises an alarm while its witnesses are away, and clears it when they are back", PATIENT, async () => {
    await Promise.all([...agents.values()].map((agent) => agent.stop()));
    await run("machine", "add", "press-01");
    await vi.waitFor(
      () => expect(alarm("quorum-degraded")).toMatch(/No checkpoint of the book .* by a quorum of 2/),
      WAIT,
    );
    expect((await run("witness", "list")).exit).toBe(1);
    await Promise.all(OTHERS.map(startAgent));
    await vi.waitFor(() => expect(alarm("quorum-degraded")).toBeUndefined(), WAIT);
  });

  it("does not sign with an older copy of the book, and says how to recover", PATIENT, async () => {
    const { bookStore, headNote } = plant.folders;
    const older = { store: join(folder, "older"), note: join(folder, "older.note") };
    await audit.stop();
    await cp(bookStore("audit"), older.store, { recursive: true });
    await cp(headNote("audit"), older.note);
    await startAudit();
    await run("machine", "add", "press-02");
    const size = Number(await sizeOfAudit());
    await vi.waitFor(async () => expect(await cosigned("ipc-02")).toBeGreaterThanOrEqual(size), WAIT);

    await audit.stop();
    await rm(bookStore("audit"), { recursive: true });
    await cp(older.store, bookStore("audit"), { recursive: true });
    await cp(older.note, headNote("audit"));
    await startAudit();
    const { checks } = (await (await fetch(`${plant.urlOf("audit")}/readyz`)).json()) as {
      checks: Record<string, string>;
    };
    expect(checks["book"]).toMatch(/ipc-0\d has seen \d+.*rastro backup restore.*promote the standby.*accept-loss/);
    await vi.waitFor(() => expect(alarm("log-behind-witnesses")).toMatch(/it is behind/), WAIT);
    const { stdout } = await run("audit", "checkpoint");
    expect(parseCheckpoint(stdout).head.size).toBeLessThan(size);
  });

  it("goes on once the loss is accepted, and is then contradicted, with both notes", PATIENT, async () => {
    const seen = Math.max(await cosigned("ipc-02"), await cosigned("ipc-03"));
    expect(await run("audit", "accept-loss", ...REASON)).toMatchObject({ exit: 0 });
    await vi.waitFor(() => expect(alarm("log-behind-witnesses")).toBeUndefined(), WAIT);
    for (let made = 0; Number(await sizeOfAudit()) <= seen; made += 1) await run("machine", "add", `oven-${made}`);
    await vi.waitFor(() => expect(alarm("witness-conflict")).toBeDefined(), WAIT);

    const told = await vi.waitUntil(() => alarms.get("machines/ipc-02/witness/audit/alarm"), WAIT);
    const { cosigned: held, seen: offered } = JSON.parse(told) as { cosigned: string; seen: string };
    const keys = await readLogPublicKey(plant.folders.logPublicKey("audit"));
    for (const note of [held, offered]) expect(signedBy(parseCheckpoint(note), keys)).toHaveLength(1);
    await vi.waitFor(async () => {
      const { stdout } = await run("audit", "tail", "--limit", "50", "--json");
      const { rows } = JSON.parse(stdout) as {
        rows: { record: { event: { type: string; payload: { held?: string } } } }[];
      };
      const events = rows.map(({ record }) => record.event).filter(({ type }) => type === "witness.conflict");
      expect(events.filter(({ payload }) => payload.held === held)).not.toHaveLength(0);
    }, WAIT);
  });
});
