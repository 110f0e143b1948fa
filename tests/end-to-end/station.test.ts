import { v7 } from "uuid";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Plant, startPlant } from "../support/plant.ts";

const PASSWORD = "correct horse battery";
const PATIENT = { timeout: 20_000, interval: 100 };
const reason = { code: "COUNT_FIX", text: "Two were counted twice at the end" };
const fields = { lot: "L-1", product: "gear", good: 5 };
type Body = Record<string, unknown>;

/* The operator's form on the PC, through a whole plant of real processes whose hub goes and comes back. */
describe("a station", { timeout: 90_000 }, () => {
  let plant: Plant;
  let cookie = "";

  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${plant.urlOf("edge-agent")}/station${path}`, {
      method,
      headers: { "content-type": "application/json", cookie },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? cookie;
    return { status: answer.status, body: (await answer.json()) as Body };
  };
  const signIn = (user: string) => ask("POST", "/session", { user, password: PASSWORD });
  const statusOf = async (id: string) => (await ask("GET", `/entries/${id}`)).body["status"];
  const isBooked = (id: string) => expect.poll(() => statusOf(id), PATIENT).toMatchObject({ status: "booked" });
  const actorsOf = async (id: string) => {
    const { versions } = (await ask("GET", `/book/entries/${id}`)).body as { versions: Body[] };
    return versions.map(({ actor, via }) => ({ actor, via }));
  };

  beforeAll(async () => {
    plant = await startPlant();
    const { user: name, token } = await plant.signInLocal();
    for (const [person, profile] of [
      ["maria", "operator"],
      ["sue", "supervisor"],
    ] as const) {
      await plant.directory().userAdd({ name, token }, { name: person, profile, password: PASSWORD });
    }
  }, 60_000);
  afterAll(async () => {
    await plant?.stop();
    await plant?.remove();
  });

  it("takes entries with the hub and without it, each booked once as its person's, with its own time", async () => {
    expect(await signIn("maria")).toMatchObject({ status: 201, body: { auth: "station" } });
    const online = v7();
    expect((await ask("POST", "/entries", { id: online, fields })).status).toBe(202);
    await isBooked(online);

    await plant.processes.broker.stop();
    expect(await signIn("maria")).toMatchObject({ status: 201, body: { auth: "offline" } });
    const offline = v7();
    const at = new Date(Date.now() - 60_000).toISOString();
    expect((await ask("POST", "/entries", { id: offline, at, fields: { ...fields, lot: "L-2" } })).status).toBe(202);
    expect((await ask("GET", "/waiting")).body).toMatchObject({
      hub: false,
      outboxes: [{ waiting: 1, oldest: at }, {}],
    });
    expect((await ask("GET", "/form")).body).toMatchObject({ choices: { lots: ["L-2", "L-1"], products: ["gear"] } });
    expect((await ask("GET", `/book/entries/${online}`)).status).toBe(403);

    await plant.processes.broker.start();
    await isBooked(offline);
    expect(await signIn("sue")).toMatchObject({ status: 201, body: { auth: "station" } });
    const { entry } = (await ask("GET", `/book/entries/${offline}`)).body;
    expect(entry).toMatchObject({ at, rev: 1, fields: { machine: "ipc-07", lot: "L-2", source: "operator" } });
    const [made] = await actorsOf(offline);
    expect(made).toEqual({ actor: expect.stringMatching(/^p-[0-9a-f]{32}$/) as unknown, via: "ipc-07" });
  });

  it("corrects in the name of who is signed in, by the rules of the book", async () => {
    await signIn("maria");
    const id = v7();
    await ask("POST", "/entries", { id, fields });
    await isBooked(id);
    const { fields: booked } = (await ask("GET", `/entries/${id}`)).body as { fields: Body };
    const correct = (rev: number) =>
      ask("POST", `/book/entries/${id}/corrections`, { event: v7(), rev, fields: { ...booked, good: 4 }, reason });
    expect(await correct(1)).toMatchObject({ status: 403, body: { code: "not_allowed" } });

    await signIn("sue");
    expect(await correct(1)).toMatchObject({ status: 200, body: { rev: 2, receipt: { status: "booked" } } });
    expect(await correct(1)).toMatchObject({ status: 409, body: { code: "version_conflict", expected: "2" } });
    const actors = await actorsOf(id);
    expect(new Set(actors.map(({ actor }) => actor)).size).toBe(2);
    expect(await ask("POST", `/book/entries/${id}/void`, { event: v7(), rev: 2, reason })).toMatchObject({
      status: 200,
      body: { rev: 3 },
    });
  });

  it("offers what the book has from others too", async () => {
    await signIn("sue");
    await expect
      .poll(async () => (await ask("GET", "/form")).body["choicesAsOf"], PATIENT)
      .toMatch(/^\d{4}-\d\d-\d\dT/);
  });
});
