import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { LOCAL_ADMIN } from "../../lib/contracts/directory.ts";
import type { PersonData, PersonRecords } from "../../lib/contracts/privacy.ts";
import { filesWith } from "../support/bytes-in.ts";
import { type Ran, rastro } from "../support/cli.ts";
import { type Plant, startPlant } from "../support/plant.ts";

/* What is kept of a person and how it is erased, on real processes and by the command line. Each test goes on where the last ended. */

const LOGIN = "wilhelmina-q";
const FULL_NAME = "Wilhelmina Quixabeira";
const BADGE = "BDG-77431";
const PASSWORD = "correct horse battery";
const REASON = "Seu Quixabeira counted two of them twice";
const WHY = "letter of the third of November";

type Shown = PersonData & { books: PersonRecords[] };
type Tail = {
  rows: {
    seq: number;
    who: string | null;
    text: string | null;
    personal: object;
    record: { event: { type: string; obj: { key: string } } };
  }[];
};

describe("a person's data", { timeout: 90_000 }, () => {
  const wilhelmina = { user: LOGIN, password: PASSWORD };
  let plant: Plant;
  let sub: string;
  let entry: string;

  const cli = async (args: string[], options = {}): Promise<Ran> => rastro(plant.environment, args, options);
  const done = async (args: string[], options = {}): Promise<Ran> => {
    const ran = await cli(args, options);
    expect(ran.code, `${args.join(" ")}: ${ran.stderr}`).toBe(0);
    return ran;
  };
  const tail = async () => (await done(["audit", "tail", "--limit", "200", "--json"])).json() as Tail;

  const personalIn = async (type: string) =>
    (await tail()).rows
      .filter(({ record }) => record.event.type === type && record.event.obj.key === sub)
      .map(({ personal }) => personal);

  beforeAll(async () => {
    plant = await startPlant();
    const person = ["--profile", "supervisor", "--full-name", FULL_NAME, "--badge", BADGE, "--password-stdin"];
    await done(["user", "add", LOGIN, ...person], { stdin: `${PASSWORD}\n` });
    const made = await done(
      ["entry", "add", "--machine", "ipc-07", "--lot", "L-1", "--good", "480", "--json"],
      wilhelmina,
    );
    entry = (made.json() as { id: string }).id;
    await done(["entry", "correct", entry, "--good", "478", "--reason", "COUNT_FIX", "--text", REASON], wilhelmina);
  }, 90_000);
  afterAll(async () => {
    await plant?.stop();
    await plant?.remove();
  });

  it("are shown to an administrator and to the person, and to nobody else", async () => {
    await vi.waitFor(async () => expect((await tail()).rows.some(({ text }) => text === REASON)).toBe(true), 20_000);
    const shown = (await done(["privacy", "show", LOGIN, "--json"])).json() as Shown;
    sub = shown.sub;
    expect(shown).toMatchObject({ name: LOGIN, fullName: FULL_NAME, badge: BADGE, password: true, erasedAt: null });
    const [production, audit] = shown.books;
    expect(production?.records.map(({ type, as, count, sealed }) => [type, as, count, sealed])).toEqual([
      ["entry.created", "actor", 1, []],
      ["entry.corrected", "actor", 1, ["reason"]],
    ]);
    expect(audit?.records.map(({ type }) => type)).toEqual(
      expect.arrayContaining(["user.added", "session.started", "record.booked", "connection.admitted"]),
    );
    const text = (await done(["privacy", "show", sub])).stdout;
    for (const part of [LOGIN, FULL_NAME, BADGE, sub, "entry.corrected"]) expect(text).toContain(part);

    expect(await personalIn("user.added")).toEqual([{ login: LOGIN, fullName: FULL_NAME, badge: BADGE }]);

    expect((await done(["privacy", "show", "--json"], wilhelmina)).json()).toMatchObject({ sub, fullName: FULL_NAME });
    expect(await cli(["privacy", "show", "admin"], wilhelmina)).toMatchObject({ code: 4 });
    expect((await tail()).rows.filter(({ record }) => record.event.type === "person.shown").length).toBeGreaterThan(2);
  });

  it("are not erased without a good ground, by somebody else, or by a slip", async () => {
    const erase = ["privacy", "erase", LOGIN, "--reason", WHY];
    const wrong = await cli([...erase, "--ground", "BORED", "--yes"]);
    expect(wrong).toMatchObject({ code: 2 });
    expect(wrong.stderr).toContain("SUBJECT_REQUEST (the person asked for it");
    expect(await cli([...erase, "--ground", "SUBJECT_REQUEST"])).toMatchObject({ code: 2 });
    expect(await cli([...erase, "--ground", "SUBJECT_REQUEST", "--yes"], wilhelmina)).toMatchObject({ code: 4 });
    const last = await cli(["privacy", "erase", "admin", "--ground", "NEVER_NEEDED", "--reason", WHY, "--yes"]);
    expect(last).toMatchObject({ code: 1 });
    expect(last.stderr).toMatch(/last administrator/);
    const nobody = await cli(["privacy", "erase", "nobody", "--ground", "NEVER_NEEDED", "--reason", WHY, "--yes"]);
    expect(nobody).toMatchObject({ code: 1 });
    expect(nobody.stderr).toMatch(/nobody of this name/);
    expect(
      await cli(["privacy", "erase", LOCAL_ADMIN, "--ground", "NEVER_NEEDED", "--reason", WHY, "--yes"]),
    ).toMatchObject({ code: 1 });
  });

  it("are gone after an erasure, from every file and every open connection, and every hash still verifies", async () => {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${plant.settings.mqttPort}`, {
      protocolVersion: 4,
      username: LOGIN,
      password: PASSWORD,
      clientId: "screen",
      clean: false,
      reconnectPeriod: 0,
    });
    onTestFinished(() => client.endAsync(true));
    await client.subscribeAsync(`responses/${LOGIN}/#`, { qos: 1 });
    const cut = new Promise<void>((resolve) => client.once("close", () => resolve()));
    const data = plant.settings.data;
    expect(await filesWith(data, LOGIN)).not.toEqual([]);

    const args = ["--ground", "SUBJECT_REQUEST", "--reason", WHY, "--yes", "--json"];
    expect((await done(["privacy", "erase", LOGIN, ...args])).json()).toMatchObject({ sub });
    await cut;
    for (const word of [LOGIN, FULL_NAME, BADGE, REASON, WHY]) expect(await filesWith(data, word), word).toEqual([]);
    expect(await cli(["session", "list"], wilhelmina)).toMatchObject({ code: 4 });

    await vi.waitFor(
      async () =>
        expect((await tail()).rows.filter(({ record }) => record.event.type === "person.erased")).toMatchObject([
          {
            who: LOCAL_ADMIN,
            text: WHY,
            record: { event: { obj: { key: sub }, reason: { code: "SUBJECT_REQUEST" } } },
          },
        ]),
      20_000,
    );
    for (const book of ["audit", "production"]) await done(["audit", "verify", "--book", book]);
    expect(await personalIn("user.added")).toEqual([{ login: null, fullName: null, badge: null }]);
    const { stdout } = await done(["audit", "tail", "--limit", "200"]);
    expect(stdout).toMatch(/entry\.corrected +erased person +entry .* COUNT_FIX: \(erased\)/);
    expect(stdout).toMatch(/person\.erased +local-admin .* SUBJECT_REQUEST: letter of the third/);
    expect((await done(["entry", "show", entry])).stdout).toMatch(/entry\.corrected by erased person/);
    expect(JSON.stringify((await tail()).rows)).not.toMatch(/wilhelmina|quixabeira|BDG-/i);
  });

  it("stay erased: a second time is said to be one, and the name is free", async () => {
    const args = ["--ground", "SUBJECT_REQUEST", "--reason", WHY, "--yes"];
    const again = await cli(["privacy", "erase", sub, ...args]);
    expect(again).toMatchObject({ code: 1 });
    expect(again.stderr).toMatch(/erased on 2.*random id is all that is left/);
    expect(await cli(["privacy", "erase", LOGIN, ...args])).toMatchObject({ code: 1 });
    const shown = (await done(["privacy", "show", sub, "--json"])).json() as Shown;
    expect(shown).toMatchObject({ name: null, fullName: null, badge: null, password: false, sessions: [] });
    expect(shown.erasedAt).not.toBeNull();
    await done(["user", "add", LOGIN, "--profile", "operator", "--password-stdin"], { stdin: `${PASSWORD}\n` });
    expect(((await done(["privacy", "show", LOGIN, "--json"])).json() as Shown).sub).not.toBe(sub);
  });
});
