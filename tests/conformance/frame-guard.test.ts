import { describe, expect, it } from "vitest";
import { connectPacket, isConnack, openRaw, type RawMqtt } from "../support/raw-mqtt.ts";
import { type Broker, BROKERS, startFor, type Users } from "./brokers.ts";

const users: Users = { eyes: "inspector", "ipc-a": "machine" };

const PUBLISH = 0x30;
const CONNECT = 0x10;

/** A fixed header alone, with the remaining length of MQTT 3.1.1 §2.2.3; nothing of the body follows. */
function header(type: number, remaining: number): Buffer {
  const bytes = [type];
  for (let rest = remaining; ;) {
    const digit = rest % 128;
    rest = (rest - digit) / 128;
    bytes.push(rest > 0 ? digit | 0x80 : digit);
    if (rest === 0) return Buffer.from(bytes);
  }
}

const MALFORMED = Buffer.from([PUBLISH, 0xff, 0xff, 0xff, 0xff, 0x01]);

describe.each(BROKERS)("a frame beyond every bound, on $name", ({ start }) => {
  it.for([
    ["a CONNECT of 200 MB, announced", header(CONNECT, 200_000_000), false],
    ["a packet of 200 MB before CONNECT", header(PUBLISH, 200_000_000), false],
    ["a PUBLISH of 200 MB of somebody who is in, announced", header(PUBLISH, 200_000_000), true],
    ["a remaining length of five bytes", MALFORMED, true],
    ["a remaining length of five bytes before CONNECT", MALFORMED, false],
  ] as const)("ends the connection at its header: %s", async ([, bytes, signedIn], test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    const raw = await openRaw(broker.url);
    test.onTestFinished(() => void raw.socket.destroy());
    if (signedIn) await signIn(raw);
    raw.sendBytes(bytes);
    await raw.closed;
    expect(await others(broker, 100)).toBe(100);
  });

  it("is not a message of 200 KiB", async (test) => {
    const broker = await startFor(test, start, users);
    if (broker === null) return;
    expect(await others(broker, 200 * 1024)).toBe(200 * 1024);
  });
});

async function signIn(raw: RawMqtt): Promise<void> {
  raw.send(connectPacket("ipc-a"));
  expect((await raw.next(isConnack)).returnCode).toBe(0);
}

/** Two others talk as if nothing had been. @returns the length of what arrived. */
async function others(broker: Broker, bytes: number): Promise<number> {
  const [eyes, machine] = await Promise.all([broker.connect("eyes"), broker.connect("ipc-a")]);
  const arrived = new Promise<Buffer>((resolve) => eyes.once("message", (_topic, payload) => resolve(payload)));
  await eyes.subscribeAsync("machines/#", { qos: 1 });
  await machine.publishAsync("machines/ipc-a/summary", Buffer.alloc(bytes, "x"), { qos: 1 });
  return (await arrived).length;
}
