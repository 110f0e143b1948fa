import { describe, expect, it } from "vitest";
import { inboxOf } from "../support/inbox.ts";
import { BEFORE_CONNECT, BORNE, SIGNED_IN, signIn } from "../support/bad-input.ts";
import { isConnack, openRaw } from "../support/raw-mqtt.ts";
import { type Broker, BROKERS, startFor, type Users } from "./brokers.ts";

const users: Users = { scada: "scada", "ipc-a": "machine", "ipc-b": "machine" };

/** Mosquitto 2.0.11 lets these pass or answers them. */
const CONTROL_DIFFERS: ReadonlySet<string> = new Set([
  "PINGREQ with flag bits [MQTT-2.2.2-2]",
  "SUBACK of a client (§2.2.1)",
  "UNSUBACK of a client (§2.2.1)",
  "PINGRESP of a client (§2.2.1)",
]);

describe.each(BROKERS.filter(({ name }) => !name.includes("slow")))("bad input on $name", ({ name, start }) => {
  const isControl = name.includes("control");

  it.for(BEFORE_CONNECT)("before CONNECT ends the connection: %s", async ([what, bytes], test) => {
    if (isControl && CONTROL_DIFFERS.has(what)) return;
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const others = await othersOf(broker);
    const raw = await openRaw(broker.url);
    raw.sendBytes(bytes);
    await raw.closed;
    expect(await others.areWell()).toBe(true);
  });

  it.for(SIGNED_IN)("of somebody who is in ends the connection: %s", async ([what, bytes], test) => {
    if (isControl && CONTROL_DIFFERS.has(what)) return;
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const others = await othersOf(broker);
    const raw = await openRaw(broker.url);
    raw.sendBytes(signIn());
    expect((await raw.next(isConnack)).returnCode).toBe(0);
    raw.sendBytes(bytes);
    await raw.closed;
    expect(await others.areWell()).toBe(true);
  });

  it.for(BORNE)("is borne: %s", async ([, bytes], test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const others = await othersOf(broker);
    const raw = await openRaw(broker.url);
    test.onTestFinished(() => void raw.socket.destroy());
    raw.sendBytes(signIn());
    expect((await raw.next(isConnack)).returnCode).toBe(0);
    raw.sendBytes(bytes);
    expect(await others.areWell()).toBe(true);
  });
});

/** Two who talk all the while: everything arrives, once and in order. */
async function othersOf(broker: Broker) {
  const reader = await broker.connect("scada");
  const inbox = inboxOf(reader);
  await reader.subscribeAsync("machines/ipc-a/#", { qos: 1 });
  const machine = await broker.connect("ipc-a");
  let sent = 0;
  const speak = () => machine.publish("machines/ipc-a/summary", String((sent += 1)), { qos: 1 });
  const timer = setInterval(speak, 2);
  return {
    async areWell() {
      const upTo = sent + 5;
      await inbox.until((messages) => messages.length >= upTo);
      clearInterval(timer);
      const values = inbox.messages.map(({ text }) => Number(text));
      return values.every((value, index) => value === index + 1);
    },
  };
}
