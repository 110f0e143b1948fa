import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BY_DIRECTORY } from "../../../broker/directory/drafts.ts";
import { type Command, CommandResult, PingResult, type SignedCommand } from "../../../lib/contracts/commands.ts";
import { Presence, Summary } from "../../../lib/contracts/machine.ts";
import { parseJson } from "../../../lib/contracts/parse.ts";
import { filters, parseCommandAnswer, topics } from "../../../lib/contracts/topics.ts";
import { canonicalBytes } from "../../../lib/ledger/canonical.ts";
import { verifySignature } from "../../../lib/ledger/signature.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import { createKey, type KeyPair } from "../../../lib/runtime/keys.ts";
import { signToken } from "../../../lib/runtime/token.ts";
import { command, signedBy } from "../../support/commands.ts";
import type { TestHub } from "../../support/hub.ts";
import { bookEverything } from "../../support/simple-book.ts";
import { type Watched, watch } from "../../support/until.ts";
import { MACHINE, startPlantWithAgent } from "../support/running-agent.ts";

/*
 * A real agent, and whatever a broker could send it. The link of these tests may publish on command topics as the fleet
 * may, which is all that a hostile broker can do: it has not the fleet's key.
 */

type Said = { kind: string; name: string; body: { id: string } & Partial<CommandResult> };

let plant: Awaited<ReturnType<typeof startPlantWithAgent>>;
let fleet: Link;
let said: Watched<Said[]>;
let online: Watched<Presence[]>;
const fleetKey = createKey();

async function service(hub: TestHub, name: string): Promise<Link> {
  const key: KeyPair = createKey();
  await hub.directory.devices.addService(BY_DIRECTORY, name, key.publicRaw.toString("base64"));
  const { privateKey } = key;
  return hub.link(name, () => signToken({ sub: name, aud: hub.plant, privateKey, now: Date.now, nonce: v7() }));
}

beforeEach(async () => {
  plant = await startPlantWithAgent({ pinned: fleetKey });
  fleet = await service(plant.hub(), "fleet");
  said = watch<Said[]>([]);
  await fleet.subscribe(filters.everyCommandAnswer, (topic, payload) => {
    const at = parseCommandAnswer(topic);
    said.value.push({
      kind: at?.kind ?? "",
      name: at?.name ?? "",
      body: JSON.parse(payload.toString()) as Said["body"],
    });
    said.changed();
  });
  online = watch<Presence[]>([]);
  await fleet.subscribe(topics.presence(MACHINE), (_topic, payload) => {
    online.value.push(parseJson(Presence, payload, "presence"));
    online.changed();
  });
  await online.until((all) => all.at(-1)?.online === true);
});
afterEach(() => plant.close());

const publish = (signed: SignedCommand | string, o: { name?: string; retain?: boolean } = {}) =>
  fleet.publish(
    topics.command(MACHINE, o.name ?? "ping"),
    typeof signed === "string" ? signed : JSON.stringify(signed),
    { qos: 1, retain: o.retain ?? false },
  );
const send = (made: Command, o: { by?: KeyPair; retain?: boolean } = {}) =>
  publish(signedBy(o.by ?? fleetKey, made), { name: made.name, ...o });
const resultsOf = (id: string) => said.value.filter(({ kind, body }) => kind === "result" && body.id === id);
/** An answer to a command that came after shows that nothing else was said to those before. */
async function roundTrip() {
  const marker = command();
  await send(marker);
  await said.until(() => resultsOf(marker.id).length > 0);
}

describe("an agent that is commanded", () => {
  test("answers a ping with its time and how far it is from the hub's, and tells audit, signed", async () => {
    const audit = await bookEverything(await service(plant.hub(), "audit"), "audit");
    const made = command();
    await send(made);
    await said.until((all) => all.length === 2);
    expect(said.value.map(({ kind, name }) => [kind, name])).toEqual([
      ["ack", "ping"],
      ["result", "ping"],
    ]);
    const result = CommandResult.parse(said.value[1]?.body);
    expect(result).toMatchObject({ id: made.id, status: "succeeded" });
    const { time, offsetMs } = PingResult.parse(result.data);
    expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000);
    expect(Math.abs(offsetMs ?? Number.NaN)).toBeLessThan(60_000);

    const booked = await audit.until((all) => all.some(({ event }) => event.type === "command.executed"));
    const executed = booked.find(({ event }) => event.type === "command.executed");
    expect(executed?.event).toMatchObject({
      obj: { kind: "command", key: made.id },
      payload: { outcome: "succeeded" },
    });
    expect(verifySignature(plant.key.publicRaw, canonicalBytes(executed?.event), executed?.sig ?? "")).toBe(true);
  });

  test("tells what it runs on, and goes on reporting meanwhile", async () => {
    const rates = watch<number[]>([]);
    await fleet.subscribe(topics.summary(MACHINE), (_topic, payload) => {
      rates.value.push(parseJson(Summary, payload, "summary").status.rateMilliHz);
      rates.changed();
    });
    const made = command({ name: "system-info", timeoutMs: 30_000 });
    await send(made);
    await said.until(() => resultsOf(made.id).length > 0);
    expect(resultsOf(made.id)[0]?.body).toMatchObject({
      status: "succeeded",
      data: { memory: { totalMiB: expect.any(Number) } },
    });
    expect(said.value.filter(({ kind }) => kind === "progress")).toHaveLength(6);
    await rates.until((all) => all.length >= 2 && (all.at(-1) ?? 0) > 0);
  });

  test("executes a duplicate once, over a new start as well, and answers each", async () => {
    const audit = await bookEverything(await service(plant.hub(), "audit"), "audit");
    const made = command();
    await Promise.all([send(made), send(made), send(made)]);
    await said.until(() => resultsOf(made.id).length === 3);
    plant.agent.kill();
    await online.until((all) => new Set(all.map(({ boot }) => boot)).size === 2 && all.at(-1)?.online === true);
    await send(made);
    await said.until(() => resultsOf(made.id).length === 4);
    const [first, ...others] = resultsOf(made.id).map(({ body }) => body);
    expect(others).toEqual([first, first, first]);
    expect(said.value.filter(({ kind, body }) => kind === "ack" && body.id === made.id)).toHaveLength(1);
    await roundTrip();
    const executions = ({ event }: (typeof audit.value)[number]) => event.type === "command.executed";
    await audit.until((all) => all.filter(executions).length === 2);
    expect(audit.value.filter(executions).filter(({ event }) => event.obj.key === made.id)).toHaveLength(1);
  });

  test("that is killed between writing it down and its result answers unknown-outcome, and never begins it again", async () => {
    const made = command({ name: "system-info", timeoutMs: 30_000 });
    await send(made);
    await said.until((all) => all.some(({ kind, body }) => kind === "ack" && body.id === made.id));
    plant.agent.kill();
    await said.until(() => resultsOf(made.id).length > 0);
    await send(made);
    await said.until(() => resultsOf(made.id).length > 1);
    for (const { body } of resultsOf(made.id)) {
      expect(body).toMatchObject({ status: "unknown-outcome", data: null, error: { code: "unknown_outcome" } });
    }
  });
});

describe("a hostile broker", () => {
  const instant = (ms: number) => new Date(Date.now() + ms).toISOString();
  const HOUR = 3_600_000;

  test("cannot make an agent execute anything: each attempt is refused with its code, and is on record", async () => {
    const audit = await bookEverything(await service(plant.hub(), "audit"), "audit");
    const stranger = createKey();
    const good = signedBy(fleetKey, command());
    const attempts: [string, SignedCommand | string, string?][] = [
      ["bad_signature", signedBy(stranger, command())],
      ["bad_signature", { body: good.body.replace(MACHINE, "ipc-08"), sig: good.sig }],
      ["bad_signature", { body: signedBy(fleetKey, command({ timeoutMs: 6000 })).body, sig: good.sig }],
      ["schema", JSON.stringify({ body: good.body })],
      ["wrong_machine", signedBy(fleetKey, command({ machine: "ipc-08" }))],
      ["wrong_machine", good, "system-info"],
      ["unknown_command", signedBy(fleetKey, command({ name: "reboot" })), "reboot"],
      ["schema", signedBy(fleetKey, command({ args: { path: "/etc/passwd" } }))],
      ["expired", signedBy(fleetKey, command({ issuedAt: instant(-HOUR), notAfter: instant(-HOUR / 2) }))],
      ["not_yet_valid", signedBy(fleetKey, command({ issuedAt: instant(HOUR), notAfter: instant(2 * HOUR) }))],
      ["malformed", "not json"],
    ];
    for (const [, payload, name] of attempts) await publish(payload, name === undefined ? {} : { name });
    await roundTrip();
    const rejected = said.value.filter(({ kind, body }) => kind === "result" && body.status === "rejected");
    const answered = attempts.filter(([, payload]) => typeof payload !== "string");
    expect(rejected.map(({ body }) => body.error?.code)).toEqual(answered.map(([code]) => code));
    expect(said.value.filter(({ kind }) => kind === "ack")).toHaveLength(1);

    const codes = new Set(attempts.map(([code]) => code));
    const refusals = () =>
      audit.value.filter(({ event }) => event.type === "command.refused").map(({ event }) => event);
    await audit.until(() => refusals().length === codes.size);
    expect(new Set(refusals().map(({ payload }) => payload["code"]))).toEqual(codes);
    expect(refusals()[0]).toMatchObject({ actor: { sub: MACHINE, auth: "device" }, payload: { count: 1 } });
  });

  test("cannot have a command taken that it has kept: neither retained nor after its time", async () => {
    const made = command();
    await send(made, { retain: true });
    // Live it comes with the retain flag off (MQTT 3.1.1 §3.3.1.3), and is an ordinary command.
    await said.until(() => resultsOf(made.id).length === 1);
    const second = command();
    await fleet.publish(topics.command(MACHINE, "ping"), "", { qos: 1, retain: true });
    plant.agent.kill();
    await fleet.publish(topics.command(MACHINE, "ping"), JSON.stringify(signedBy(fleetKey, second)), {
      qos: 1,
      retain: true,
    });
    await online.until((all) => new Set(all.map(({ boot }) => boot)).size === 2 && all.at(-1)?.online === true);
    await roundTrip();
    expect(said.value.filter(({ body }) => body.id === second.id)).toEqual([]);
  });

  test("cannot fill the book: a flood of the same is a first and a count", async () => {
    const audit = await bookEverything(await service(plant.hub(), "audit"), "audit");
    for (let count = 0; count < 50; count += 1) await publish(signedBy(createKey(), command()));
    await roundTrip();
    // The count of a minute that is not over is told at the end, and sent with the next start.
    await plant.agent.stop();
    await plant.agent.start();
    const refused = () => audit.value.filter(({ event }) => event.type === "command.refused");
    await audit.until(() => refused().length === 2);
    expect(refused().map(({ event }) => event.payload["count"])).toEqual([1, 49]);
  });
});

describe("an agent to which no key was given", () => {
  test("starts, and takes no commands, whatever is sent to it", async () => {
    const other = await startPlantWithAgent();
    const link = await service(other.hub(), "fleet");
    const answers = watch<string[]>([]);
    await link.subscribe(filters.everyCommandAnswer, (topic, payload) => {
      answers.value.push(
        `${parseCommandAnswer(topic)?.kind} ${(JSON.parse(payload.toString()) as CommandResult).error?.code}`,
      );
      answers.changed();
    });
    await link.publish(topics.command(MACHINE, "ping"), JSON.stringify(signedBy(fleetKey, command())), { qos: 1 });
    await answers.until((all) => all.length > 0);
    expect(answers.value).toEqual(["result no_command_key"]);
    await other.close();
  });
});
