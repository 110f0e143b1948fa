import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Command, SignedCommand } from "../../../../lib/contracts/commands.ts";
import { topics } from "../../../../lib/contracts/topics.ts";
import { sign, verifySignature } from "../../../../lib/ledger/signature.ts";
import type { Link } from "../../../../lib/messaging/link.ts";
import { createKey } from "../../../../lib/runtime/keys.ts";
import { Store } from "../../../../lib/storage/store/store.ts";
import { type Fleet, startFleet } from "../../../../services/fleet/start-fleet.ts";
import { type Keyed, startTestHub, type TestHub } from "../../../support/hub.ts";
import { bookEverything } from "../../../support/simple-book.ts";
import { type Watched, watch } from "../../../support/until.ts";
import { joinAsPerson, joinAsService } from "../../join-hub.ts";
import { presence } from "../samples.ts";

/* The fleet on a real hub, with a machine that the test plays. Deadlines are ended by the test, not by the clock. */

const COMMAND_KEY = createKey();
type Came = { name: string; signed: SignedCommand; command: Command; retain: boolean };

describe("commands on a hub", () => {
  let hub: TestHub;
  let service: Keyed;
  let machine: Keyed;
  let press: Link;
  let store: Store;
  let parts: Awaited<ReturnType<typeof joinAsService>>;
  let fleet: Fleet;
  let sue: Awaited<ReturnType<typeof joinAsPerson>>;
  let came: Watched<Came[]>;
  let clock: { ahead: number };
  let timers: Set<() => void>;

  beforeEach(async () => {
    hub = await startTestHub();
    clock = { ahead: 0 };
    service = await hub.addService("fleet");
    machine = await hub.addMachine("press-01");
    await hub.addMachine("press-02");
    await hub.addPerson("sue", "supervisor");
    await hub.addPerson("oto", "operator");
    press = await hub.link(machine.name, machine.password);
    came = watch<Came[]>([]);
    await press.subscribe("machines/press-01/commands/+", (topic, payload, retain) => {
      const signed = SignedCommand.parse(JSON.parse(payload.toString()));
      const command = Command.parse(JSON.parse(signed.body));
      came.value.push({ name: topic.split("/")[3] ?? "", signed, command, retain });
      came.changed();
    });
    store = await Store.inMemory();
    await begin();
    sue = await joinAsPerson(hub, "sue", now);
  });
  afterEach(async () => {
    await end();
    await store.close();
    await hub.close();
  });

  const now = () => Date.now() + clock.ahead;
  async function begin() {
    timers = new Set();
    parts = await joinAsService(hub, service, store);
    fleet = await startFleet({
      ...parts,
      self: { ...parts.self, now },
      signCommand: (bytes) => sign(COMMAND_KEY.privateKey, bytes),
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
  /** Lets so much time pass for the fleet, and with it whatever was to happen meanwhile. */
  function pass(ms: number) {
    clock.ahead += ms;
    const due = [...timers];
    for (const task of due) {
      timers.delete(task);
      task();
    }
  }

  const birth = async (connection = "c-1") => {
    await press.publish(topics.presence("press-01"), JSON.stringify(presence({ connection })), {
      qos: 1,
      retain: true,
    });
    await vi.waitFor(() => expect(fleet.register.presence("press-01")?.connection).toBe(connection));
    // Until the hub has told of the connection, the fleet may take it for one that went without a word.
    await vi.waitFor(async () => {
      const { addresses } = await sue.call("fleet", "machine-show", { id: "press-01" });
      expect(addresses).not.toEqual([]);
    }, 10_000);
  };
  const send = (change = {}) =>
    sue.call("fleet", "command-send", { id: v7(), machine: "press-01", name: "ping", ...change });
  const answer = (kind: "ack" | "progress" | "result", id: string, more: object = {}, by = press, of = "press-01") =>
    by.publish(
      topics.commandAnswer(of, "ping", kind),
      JSON.stringify({ v: 1, id, at: new Date().toISOString(), ...more }),
      {
        qos: 1,
      },
    );
  const propose = (change = {}) => send({ name: "system-info", ...change });
  const PONG = { status: "succeeded", data: { time: "2026-11-24T12:00:00.000Z", offsetMs: 0 }, error: null };
  const untilState = (id: string, state: string) =>
    vi.waitFor(async () => expect((await sue.call("fleet", "command-show", { id })).state).toBe(state));

  it("is signed by the command key, sent once, not retained, and followed to its result", async () => {
    await birth();
    const { id, who } = await send();
    expect(who).toBe("sue");
    const [first] = await came.until((all) => all.length > 0);
    expect(first).toMatchObject({ name: "ping", retain: false, command: { id, machine: "press-01", args: {} } });
    const { body, sig } = first?.signed ?? { body: "", sig: "" };
    expect(verifySignature(COMMAND_KEY.publicRaw, Buffer.from(body), sig)).toBe(true);
    expect(verifySignature(service.key.publicRaw, Buffer.from(body), sig)).toBe(false);

    await answer("ack", id);
    await answer("progress", id, { done: 1, of: 2 });
    await untilState(id, "running");
    expect(await sue.call("fleet", "command-show", { id })).toMatchObject({ progress: { done: 1, of: 2 } });
    await answer("result", id, PONG);
    await untilState(id, "succeeded");
    const view = await sue.call("fleet", "command-show", { id });
    expect(view.history.map(({ state }) => state)).toEqual(["queued", "sent", "acknowledged", "running", "succeeded"]);
    expect(view).toMatchObject({ progress: null, result: { data: PONG.data } });
    expect(came.value).toHaveLength(1);

    const late: string[] = [];
    const again = await hub.link(machine.name, machine.password);
    await again.subscribe(
      "machines/press-01/commands/+",
      (topic, _payload, retain) => void late.push(`${topic} ${retain}`),
    );
    await send();
    await came.until((all) => all.length === 2);
    await vi.waitFor(() => expect(late).toEqual(["machines/press-01/commands/ping false"]));
  });

  it("asked for again under its id is sent once; another one under that id is refused", async () => {
    await birth();
    const id = v7();
    await send({ id });
    await send({ id });
    await expect(send({ id, name: "system-info" })).rejects.toMatchObject({ code: "id_conflict" });
    await send();
    await came.until((all) => all.length === 2);
    expect(came.value.map(({ command }) => command.id === id)).toEqual([true, false]);
  });

  it("is refused to an operator, and for a machine that is not registered", async () => {
    const oto = await joinAsPerson(hub, "oto");
    const asked = { id: v7(), machine: "press-01", name: "ping" } as const;
    await expect(oto.call("fleet", "command-send", asked)).rejects.toMatchObject({ code: "not_allowed" });
    await expect(send({ machine: "press-77" })).rejects.toMatchObject({ code: "unknown_machine" });
    await expect(send({ machine: "oto" })).rejects.toMatchObject({ code: "unknown_machine" });
    await expect(send({ args: { loud: true } })).rejects.toMatchObject({ code: "schema" });
    expect(await oto.call("fleet", "command-list", {})).toEqual({ commands: [], next: null });
    await expect(oto.call("fleet", "command-show", { id: v7() })).rejects.toMatchObject({ code: "unknown_command" });
  });

  it("waits for a machine that is away, and goes out at its birth", async () => {
    const { id, state } = await send();
    expect(state).toBe("queued");
    await untilState(id, "queued");
    expect(came.value).toEqual([]);
    await birth();
    const [first] = await came.until((all) => all.length > 0);
    expect(first?.command.id).toBe(id);
    await untilState(id, "sent");
  });

  it("expires in the queue and is never sent after that", async () => {
    const { id } = await send({ validMs: 1000 });
    pass(1500);
    await untilState(id, "expired");
    const second = await send();
    await birth();
    await came.until((all) => all.some(({ command }) => command.id === second.id));
    expect(came.value.map(({ command }) => command.id)).toEqual([second.id]);
  });

  it("expires when it was sent and nobody acknowledged it, and times out when nobody ends it", async () => {
    await birth();
    const [silent, begun] = [await send(), await send()];
    await came.until((all) => all.length === 2);
    await answer("ack", begun.id);
    await untilState(begun.id, "acknowledged");
    pass(70_000);
    await untilState(silent.id, "expired");
    await untilState(begun.id, "timed-out");
    await answer("result", begun.id, PONG);
    await untilState(begun.id, "succeeded");
    const view = await sue.call("fleet", "command-show", { id: begun.id });
    expect(view.history.map(({ state }) => state)).toEqual([
      "queued",
      "sent",
      "acknowledged",
      "timed-out",
      "succeeded",
    ]);
  });

  it("goes out again, byte for byte, over each new connection of its machine until its result is here", async () => {
    await birth("c-1");
    const { id } = await send();
    await came.until((all) => all.length === 1);
    await birth("c-2");
    await came.until((all) => all.length === 2);
    await birth("c-2");
    await answer("result", id, PONG);
    await untilState(id, "succeeded");
    await birth("c-3");
    const marker = await send();
    await came.until((all) => all.some(({ command }) => command.id === marker.id));
    expect(came.value.filter(({ command }) => command.id === id)).toHaveLength(2);
    expect(came.value[0]?.signed).toEqual(came.value[1]?.signed);
  });

  it("survives a restart of the fleet in the middle: what was sent is asked after, what was queued is sent", async () => {
    await birth();
    const sent = await send();
    await came.until((all) => all.length === 1);
    await answer("ack", sent.id);
    await untilState(sent.id, "acknowledged");
    await end();
    // Published while nobody listens: lost, as a broker may.
    await answer("result", sent.id, PONG);
    clock.ahead += 600_000;
    await begin();
    await came.until((all) => all.length === 2);
    expect(came.value[1]?.signed).toEqual(came.value[0]?.signed);
    await untilState(sent.id, "acknowledged");
    await answer("result", sent.id, PONG);
    await untilState(sent.id, "succeeded");
  });

  it("hears only its own machine, and puts what does not fit on record", async () => {
    const book = await hub.addService("audit");
    const audit = await bookEverything(await hub.link(book.name, book.password), "audit");
    await birth();
    const { id } = await send();
    await came.until((all) => all.length === 1);
    const other = await hub.addMachine("press-03");
    const rogue = await hub.link(other.name, other.password);
    await answer("result", id, PONG, rogue, "press-03");
    // Under another's name the hub does not let it through at all.
    await answer("result", id, PONG, rogue, "press-01");
    await answer("result", id, { ...PONG, data: { time: "now", offsetMs: 0 } });
    await answer("result", id, { ...PONG, data: "x".repeat(70_000) });
    await answer("result", v7(), PONG);
    await press.publish(topics.commandAnswer("press-01", "ping", "ack"), "{", { qos: 1 });
    const refused = () =>
      audit.value.filter(({ event }) => event.type === "message.refused").map(({ event }) => event.payload["code"]);
    await vi.waitFor(() =>
      expect(refused().map(String).toSorted()).toEqual([
        "malformed",
        "schema",
        "too_large",
        "unknown_command",
        "unknown_command",
      ]),
    );
    await untilState(id, "sent");
  });

  it("is listed with its state, by machine", async () => {
    const first = await send();
    const second = await send({ machine: "press-02" });
    const { commands } = await sue.call("fleet", "command-list", {});
    expect(commands.map(({ id, machine, state, who }) => ({ id, machine, state, who }))).toEqual([
      { id: second.id, machine: "press-02", state: "queued", who: "sue" },
      { id: first.id, machine: "press-01", state: "queued", who: "sue" },
    ]);
    const own = await sue.call("fleet", "command-list", { machine: "press-02" });
    expect(own.commands.map(({ id }) => id)).toEqual([second.id]);
  });

  describe("that takes two persons", () => {
    let sam: typeof sue;
    beforeEach(async () => {
      await hub.addPerson("sam", "coordinator");
      sam = await joinAsPerson(hub, "sam", now);
      await birth();
    });

    it("is neither signed nor sent before the second agrees, and names both under the fleet's signature", async () => {
      const { id, state } = await propose();
      expect(state).toBe("pending-approval");
      const { commands } = await sam.call("fleet", "command-list", { pending: true });
      expect(commands.map((row) => [row.id, row.who])).toEqual([[id, "sue"]]);
      const ping = await send();
      await came.until((all) => all.length === 1);
      expect(came.value[0]?.command.id).toBe(ping.id);

      clock.ahead += 600_000;
      const approved = await sam.call("fleet", "command-approve", { id });
      expect(approved.history.map((step) => [step.state, step.who]).slice(0, 2)).toEqual([
        ["pending-approval", "sue"],
        ["queued", "sam"],
      ]);
      const [, sent] = await came.until((all) => all.length === 2);
      expect(verifySignature(COMMAND_KEY.publicRaw, Buffer.from(sent?.signed.body ?? ""), sent?.signed.sig ?? "")).toBe(
        true,
      );
      const { issuer, approvals, issuedAt, notAfter } = sent?.command ?? ({} as Command);
      expect([issuer, ...approvals.map(({ by }) => by)].map(({ profile }) => profile)).toEqual([
        "supervisor",
        "coordinator",
      ]);
      expect(approvals.map(({ at }) => at)).toEqual([issuedAt]);
      expect(Date.parse(notAfter) - Date.parse(issuedAt)).toBe(60_000);
    });

    it("is not approved by who asked, nor by the hub's local key, nor by an operator; nobody asks with the key", async () => {
      const { id } = await propose();
      const local = await joinAsPerson(hub, "local-admin", now);
      const oto = await joinAsPerson(hub, "oto", now);
      const approve = (who: typeof sue) => who.call("fleet", "command-approve", { id });
      await expect(approve(sue)).rejects.toMatchObject({ code: "second_person" });
      await expect(approve(local)).rejects.toMatchObject({ code: "second_person" });
      await expect(approve(oto)).rejects.toMatchObject({ code: "not_allowed" });
      const asked = { id: v7(), machine: "press-01", name: "system-info" } as const;
      await expect(local.call("fleet", "command-send", asked)).rejects.toMatchObject({ code: "second_person" });
      await untilState(id, "pending-approval");
    });

    it("is approved once, however often the second person asks; expired or refused it is not any more", async () => {
      const approve = (id: string) => sam.call("fleet", "command-approve", { id });
      const [agreed, late, refused] = [await propose(), await propose({ approvalMs: 1000 }), await propose()];
      await approve(agreed.id);
      await approve(agreed.id);
      await came.until((all) => all.length === 1);
      await sam.call("fleet", "command-cancel", { id: refused.id });
      pass(1500);
      await untilState(late.id, "expired");
      for (const { id } of [late, refused]) await expect(approve(id)).rejects.toMatchObject({ code: "too_late" });
      await expect(approve(v7())).rejects.toMatchObject({ code: "unknown_command" });
      const marker = await send();
      await came.until((all) => all.some(({ command }) => command.id === marker.id));
      expect(came.value.map(({ command }) => command.id)).toEqual([agreed.id, marker.id]);
    });

    it("waits on over a restart of the fleet, unsigned, and no machine can end it", async () => {
      const { id } = await propose();
      await end();
      await begin();
      await press.publish(
        topics.commandAnswer("press-01", "system-info", "result"),
        JSON.stringify({ v: 1, id, at: new Date().toISOString(), status: "succeeded", data: null, error: null }),
        { qos: 1 },
      );
      await birth("c-2");
      const again = await propose({ id });
      expect(again.state).toBe("pending-approval");
      await sam.call("fleet", "command-approve", { id });
      await came.until((all) => all.some(({ command }) => command.id === id));
    });
  });

  it("is called back while it is queued, and never sent", async () => {
    const { id } = await send();
    const cancelled = await sue.call("fleet", "command-cancel", { id });
    expect(cancelled).toMatchObject({ state: "cancelled", history: [{ who: "sue" }, { who: "sue" }] });
    await sue.call("fleet", "command-cancel", { id });
    const marker = await send();
    await birth();
    await came.until((all) => all.some(({ command }) => command.id === marker.id));
    expect(came.value.map(({ command }) => command.id)).toEqual([marker.id]);
  });

  it("is called back when it was sent, gives way to the machine's word, and not once the machine has it", async () => {
    await birth();
    const [silent, begun] = [await send(), await send()];
    await came.until((all) => all.length === 2);
    await sue.call("fleet", "command-cancel", { id: silent.id });
    await birth("c-2");
    await came.until((all) => all.length === 3);
    expect(came.value[2]?.command.id).toBe(begun.id);
    await answer("result", silent.id, PONG);
    await untilState(silent.id, "succeeded");
    await answer("ack", begun.id);
    await untilState(begun.id, "acknowledged");
    await expect(sue.call("fleet", "command-cancel", { id: begun.id })).rejects.toMatchObject({ code: "too_late" });
    const oto = await joinAsPerson(hub, "oto", now);
    await expect(oto.call("fleet", "command-cancel", { id: begun.id })).rejects.toMatchObject({ code: "not_allowed" });
  });
});
