import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Command, SignedCommand } from "../../../lib/contracts/commands.ts";
import type { RolloutView } from "../../../lib/contracts/rollouts.ts";
import { topics } from "../../../lib/contracts/topics.ts";
import { sign } from "../../../lib/ledger/signature.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import { createKey } from "../../../lib/runtime/keys.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { type Fleet, startFleet } from "../../../services/fleet/start-fleet.ts";
import { type Keyed, startTestHub, type TestHub } from "../../support/hub.ts";
import { bookEverything } from "../../support/simple-book.ts";
import { type Watched, watch } from "../../support/until.ts";
import { joinAsPerson, joinAsService } from "../join-hub.ts";
import { presence } from "./samples.ts";

/* Rollouts on a real hub, with five machines that the test plays. Deadlines are ended by the test, not by the clock. */

const KEY = createKey();
const MACHINES = ["press-01", "press-02", "press-03", "press-04", "press-05"];
const LONG = { timeout: 10_000, interval: 20 };

describe("a rollout on a hub", { timeout: 30_000 }, () => {
  let hub: TestHub;
  let service: Keyed;
  let links: Map<string, Link>;
  let store: Store;
  let parts: Awaited<ReturnType<typeof joinAsService>>;
  let fleet: Fleet;
  let sue: Awaited<ReturnType<typeof joinAsPerson>>;
  let came: Watched<Command[]>;
  let clock: { ahead: number };
  let timers: Set<() => void>;
  const now = () => Date.now() + clock.ahead;

  beforeEach(async () => {
    hub = await startTestHub();
    clock = { ahead: 0 };
    service = await hub.addService("fleet");
    await hub.addPerson("sue", "supervisor");
    came = watch<Command[]>([]);
    links = new Map();
    for (const id of MACHINES) {
      const { password } = await hub.addMachine(id);
      const link = await hub.link(id, password);
      links.set(id, link);
      await link.subscribe(`machines/${id}/commands/+`, (_topic, payload) => {
        came.value.push(Command.parse(JSON.parse(SignedCommand.parse(JSON.parse(payload.toString())).body)));
        came.changed();
      });
    }
    store = await Store.inMemory();
    await begin();
    sue = await joinAsPerson(hub, "sue", now);
  }, 30_000);
  afterEach(async () => {
    await end();
    await store.close();
    await hub.close();
  });

  async function begin() {
    timers = new Set();
    parts = await joinAsService(hub, service, store);
    fleet = await startFleet({
      ...parts,
      self: { ...parts.self, now },
      signCommand: (bytes) => sign(KEY.privateKey, bytes),
      // As if system-info were dangerous.
      approvalsOf: (name) => (name === "system-info" ? 1 : 0),
      after: (_ms, task) => {
        timers.add(task);
        return () => timers.delete(task);
      },
    });
  }
  async function end() {
    await fleet.close();
    await parts.link.close();
  }
  function pass(ms: number) {
    clock.ahead += ms;
    const due = [...timers];
    for (const task of due) {
      timers.delete(task);
      task();
    }
  }

  const birth = async (machines = MACHINES, connection = "c-1") => {
    for (const id of machines) {
      const said = JSON.stringify(presence({ connection }));
      await links.get(id)?.publish(topics.presence(id), said, { qos: 1, retain: true });
    }
    const isThere = (id: string) => fleet.register.presence(id)?.connection === connection;
    await vi.waitFor(() => expect(machines.every(isThere)).toBe(true), LONG);
  };
  const ask = (change = {}) =>
    sue.call("fleet", "rollout-begin", { id: v7(), name: "ping", machines: MACHINES, waveSize: 2, ...change });
  const show = (id: string) => sue.call("fleet", "rollout-show", { id });
  const untilState = (id: string, state: string) =>
    vi.waitFor(async () => expect((await show(id)).state).toBe(state), LONG);
  const result = (command: Command, status: string) =>
    links.get(command.machine)?.publish(
      topics.commandAnswer(command.machine, command.name, "result"),
      JSON.stringify({
        v: 1,
        id: command.id,
        at: new Date().toISOString(),
        status,
        data: status === "succeeded" ? { time: "2026-11-24T12:00:00.000Z", offsetMs: 0 } : null,
        error: status === "succeeded" ? null : { code: "internal", message: "it broke" },
      }),
      { qos: 1 },
    );
  const got = () => came.value.map(({ machine }) => machine);
  const statesOf = (view: RolloutView) => view.waves.map(({ commands }) => commands.map(({ state }) => state));

  it("goes on to the next wave when nothing is to come of the one before, until every machine had its command", async () => {
    const book = await hub.addService("audit");
    const audit = await bookEverything(await hub.link(book.name, book.password), "audit");
    await birth();
    const { id, tally } = await ask();
    expect(tally).toEqual({ machines: 5, open: 2, succeeded: 0, failed: 0, unreached: 0 });
    await came.until((all) => all.length === 2);
    await result(came.value[0] as Command, "succeeded");
    await vi.waitFor(async () => expect((await show(id)).tally.succeeded).toBe(1), LONG);
    expect(got()).toEqual(["press-01", "press-02"]);

    await result(came.value[1] as Command, "succeeded");
    await came.until((all) => all.length === 4);
    for (const command of came.value.slice(2)) await result(command, "succeeded");
    await came.until((all) => all.length === 5);
    await result(came.value[4] as Command, "succeeded");
    await untilState(id, "done");
    expect(got().toSorted()).toEqual(MACHINES);
    expect(await show(id)).toMatchObject({ tally: { succeeded: 5, open: 0 }, who: "sue" });

    const told = () =>
      audit.value.filter(({ event }) => event.obj.key === id).map(({ event }) => [event.type, event.payload["after"]]);
    await vi.waitFor(
      () =>
        expect(told()).toEqual([
          ["rollout.begun", "running"],
          ["rollout.wave-begun", 1],
          ["rollout.wave-begun", 2],
          ["rollout.wave-begun", 3],
          ["rollout.ended", "done"],
        ]),
      LONG,
    );
  });

  it("stops at the failures that were asked for, and calls back what nobody has acknowledged", async () => {
    await birth();
    const { id } = await ask({ waveSize: 3, stopAfter: 2 });
    await came.until((all) => all.length === 3);
    await result(came.value[0] as Command, "failed");
    await vi.waitFor(async () => expect((await show(id)).tally.failed).toBe(1), LONG);
    expect((await show(id)).state).toBe("running");
    await result(came.value[1] as Command, "rejected");
    await untilState(id, "stopped");
    await vi.waitFor(async () => expect(statesOf(await show(id))).toEqual([["failed", "rejected", "cancelled"]]), LONG);
    expect(came.value).toHaveLength(3);
    await expect(sue.call("fleet", "rollout-cancel", { id })).rejects.toMatchObject({ code: "too_late" });
  });

  it("does not stop for machines that are away, and does for one that falls silent with its command", async () => {
    await birth(["press-03", "press-04", "press-05"]);
    const { id } = await ask();
    pass(70_000);
    await came.until((all) => all.length === 2);
    expect(got()).toEqual(["press-03", "press-04"]);
    expect(await show(id)).toMatchObject({ state: "running", tally: { unreached: 2, failed: 0 } });
    await result(came.value[0] as Command, "succeeded");
    pass(70_000);
    await untilState(id, "stopped");
    expect((await show(id)).tally).toMatchObject({ succeeded: 1, failed: 1, unreached: 2 });
  });

  it("goes on after a restart of the fleet in the middle, and sends no machine a second command", async () => {
    await birth();
    const { id } = await ask();
    await came.until((all) => all.length === 2);
    await end();
    await begin();
    // What was sent is asked after over the new connection.
    await came.until((all) => all.length === 4);
    expect(new Set(came.value.map((command) => command.id)).size).toBe(2);
    for (const command of came.value.slice(0, 2)) await result(command, "succeeded");
    await came.until((all) => all.length === 6);
    for (const command of came.value.slice(4)) await result(command, "succeeded");
    await came.until((all) => all.length === 7);
    await result(came.value[6] as Command, "succeeded");
    await untilState(id, "done");
    expect(new Set(came.value.map((command) => `${command.machine} ${command.id}`)).size).toBe(5);
  });

  it("is cancelled by a person: no further wave, and the open commands called back", async () => {
    const { id } = await ask();
    const cancelled = await sue.call("fleet", "rollout-cancel", { id });
    expect(cancelled).toMatchObject({ state: "cancelled", tally: { open: 0, unreached: 2 } });
    await birth();
    const marker = await sue.call("fleet", "command-send", { id: v7(), machine: "press-01", name: "ping" });
    await came.until((all) => all.length > 0);
    expect(came.value.map((command) => command.id)).toEqual([marker.id]);
  });

  it("of a dangerous command waits for a second person, whom every command of it names", async () => {
    await hub.addPerson("sam", "coordinator");
    const sam = await joinAsPerson(hub, "sam", now);
    await birth();
    const { id, state, approveBy } = await ask({ name: "system-info" });
    expect(state).toBe("pending-approval");
    expect(approveBy).not.toBeNull();
    await expect(sue.call("fleet", "rollout-approve", { id })).rejects.toMatchObject({ code: "second_person" });
    const local = await joinAsPerson(hub, "local-admin", now);
    await expect(local.call("fleet", "rollout-approve", { id })).rejects.toMatchObject({ code: "second_person" });
    expect(came.value).toEqual([]);
    await sam.call("fleet", "rollout-approve", { id });
    await sam.call("fleet", "rollout-approve", { id });
    await came.until((all) => all.length === 2);
    for (const { issuer, approvals } of came.value) {
      expect([issuer.profile, ...approvals.map(({ by }) => by.profile)]).toEqual(["supervisor", "coordinator"]);
    }

    const late = await ask({ name: "system-info", approvalMs: 1000 });
    pass(1500);
    await untilState(late.id, "expired");
    await expect(sam.call("fleet", "rollout-approve", { id: late.id })).rejects.toMatchObject({ code: "too_late" });
  });

  it("begins once for an id, with every machine when none is named; refused is what does not fit", async () => {
    const id = v7();
    const first = await ask({ id, machines: null });
    expect(first.machines).toEqual(MACHINES);
    expect((await ask({ id, machines: null })).waves).toEqual(first.waves);
    await expect(ask({ id, waveSize: 5 })).rejects.toMatchObject({ code: "id_conflict" });
    await expect(ask({ machines: ["press-77"] })).rejects.toMatchObject({ code: "unknown_machine" });
    await expect(ask({ machines: ["press-01", "press-01"] })).rejects.toMatchObject({ code: "schema" });
    await expect(ask({ args: { loud: true } })).rejects.toMatchObject({ code: "schema" });
    const { rollouts } = await sue.call("fleet", "rollout-list", {});
    expect(rollouts.map((row) => [row.id, row.name, row.tally.open])).toEqual([[id, "ping", 2]]);
  });
});
