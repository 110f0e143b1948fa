import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import mqtt, { type MqttClient } from "mqtt";
import { expect, it, onTestFinished } from "vitest";
import { hashesAtOnce } from "../../lib/runtime/passwords.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { createDirectoryClient } from "../../lib/runtime/directory-client.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { startTestHub } from "../support/hub.ts";

/* A hundred people sign in with their passwords in the same moment. A hash takes long enough here to be waited for. */

const COST = { memoryCost: 16_384, timeCost: 4 };
const PEOPLE = ["ana", "bia", "caio", "davi"];
const EACH = 25;
/** What the queue of hashes takes in: those at work, and sixteen waiting. */
const TAKEN_IN = hashesAtOnce(availableParallelism()) + 16;

async function start() {
  const hub = await startTestHub({ passwordCost: COST });
  onTestFinished(() => hub.close());
  for (const name of PEOPLE) await hub.addPerson(name, "operator");
  const clients: MqttClient[] = [];
  onTestFinished(async () => void (await Promise.all(clients.map((client) => client.endAsync(true)))));
  const connect = async (username: string, password: string, clientId: string) => {
    const client = mqtt.connect(hub.url, { protocolVersion: 4, reconnectPeriod: 0, username, password, clientId });
    clients.push(client);
    return new Promise<MqttClient>((resolve, reject) => {
      client.once("connect", () => resolve(client));
      client.once("error", reject);
    });
  };
  return { hub, connect };
}

it("machines and stores go on meanwhile, and who is turned away hears so and gets in on a later try", async () => {
  const { hub, connect } = await start();
  const { secret } = await hub.addDevice("press-07");
  const machine = await connect("press-07", secret, "agent");
  const folder = await mkdtemp(join(tmpdir(), "rastro-sign-ins-"));
  const store = await Store.openFolder(folder);
  onTestFinished(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });

  const told: string[] = [];
  const { promise: turnedAway, resolve: isTurnedAway } = Promise.withResolvers<void>();
  const signIn = async (name: string, clientId: string): Promise<boolean> => {
    try {
      await connect(name, `${name}-password`, clientId);
      told.push("in");
      return true;
    } catch (error) {
      if ((error as { code?: number }).code !== 3) throw error;
      told.push("busy");
      isTurnedAway();
      return false;
    }
  };
  const everybody = PEOPLE.flatMap((name) => Array.from({ length: EACH }, (_, index) => ({ name, id: `c-${index}` })));
  const firstTries = Promise.all(everybody.map(async (one) => ({ ...one, in: await signIn(one.name, one.id) })));

  // From now on the queue is full, and every hash of it lies ahead of whoever would have to wait for them.
  await turnedAway;
  await machine.publishAsync("machines/press-07/summary", "{}", { qos: 1 });
  told.push("machine");
  await store.write((tx) => tx.put(Buffer.from("key"), randomBytes(100)));
  told.push("store");

  let waiting = (await firstTries).filter((one) => !one.in);
  const isIn = (what: string) => what === "in";
  expect(told.filter(isIn).length).toBeGreaterThanOrEqual(TAKEN_IN);
  expect(waiting.length).toBeGreaterThan(0);
  for (const what of ["machine", "store"]) {
    const before = told.slice(0, told.indexOf(what)).filter(isIn).length;
    expect(before, `sign-ins that the ${what}'s write had to wait for`).toBeLessThanOrEqual(TAKEN_IN / 2);
  }
  while (waiting.length > 0) {
    const tries = await Promise.all(waiting.map(async (one) => ({ ...one, in: await signIn(one.name, one.id) })));
    const left = tries.filter((one) => !one.in);
    expect(left.length).toBeLessThan(waiting.length);
    waiting = left;
  }
  expect(hub.hub.live().filter(({ user }) => user !== "press-07" && user !== "directory")).toHaveLength(100);
  expect(hub.access.filter(({ kind, code }) => kind === "sign-in-refused" && code !== "busy")).toEqual([]);
});

it("over HTTP the answer is busy, and nobody is locked out for it", async () => {
  const { hub } = await start();
  const directory = createDirectoryClient({ url: hub.directoryUrl });
  const signIn = (name: string) =>
    directory.signIn({ user: name, password: `${name}-password`, app: "test" }).then(
      () => "in",
      (error: unknown) => (error instanceof RastroError ? error.code : error),
    );
  const crowd = PEOPLE.flatMap((name) => Array.from({ length: EACH }, () => name));
  const answers = await Promise.all(crowd.map(signIn));
  expect(new Set(answers)).toEqual(new Set(["in", "busy"]));
  for (const name of PEOPLE) expect(await signIn(name)).toBe("in");
});
