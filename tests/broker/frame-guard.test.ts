import * as fc from "fast-check";
import mqttPacket, { type Packet } from "mqtt-packet";
import { expect, it } from "vitest";
import { createFrameGuard } from "../../broker/frame-guard.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { connectPacket, isConnack } from "../support/raw-mqtt.ts";

const publish = (bytes: number): Packet => ({
  cmd: "publish",
  topic: "t",
  payload: Buffer.alloc(bytes),
  qos: 0,
  retain: false,
  dup: false,
});

it("sees every frame, however the stream is cut", () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 40 });
  const sizes = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(sizes, cuts, fc.integer({ min: 2, max: 320 }), (bodies, steps, limit) => {
      const frames = bodies.map((bytes) => mqttPacket.generate(publish(bytes)));
      const guard = createFrameGuard(() => limit);
      const stream = Buffer.concat(frames);
      let found = null;
      for (let at = 0, step = 0; at < stream.length && found === null; step += 1) {
        const length = steps[step % steps.length] ?? 1;
        found = guard.look(stream.subarray(at, at + length));
        at += length;
      }
      const first = frames.find((frame) => frame.length > limit);
      expect(found).toEqual(first === undefined ? null : { why: "too-large", bytes: first.length, limit });
    }),
  );
});

it("takes 8 KiB before the sign-in and the setting after it, and tells whose connection it ended", async () => {
  const { hub, access, raw } = await startPlainHub({ "ipc-01": "machine" }, { maxPacketBytes: 20_000 });
  const stranger = await raw();
  stranger.send(connectPacket("ipc-01", { password: Buffer.alloc(9000, "x") }));
  await stranger.closed;
  const machine = await raw();
  machine.send(connectPacket("ipc-01"));
  await machine.next(isConnack);
  machine.send({ ...publish(19_000), topic: "machines/ipc-01/status" } as Packet, { cmd: "pingreq" });
  await machine.next((packet): packet is Packet => packet.cmd === "pingresp");
  machine.send({ ...publish(20_000), topic: "machines/ipc-01/status" } as Packet);
  await machine.closed;
  expect(hub.counters).toMatchObject({ received: 1, refused: { frame: 2, signIn: 0 } });
  expect(access.filter(({ kind }) => kind === "frame-refused")).toMatchObject([
    { user: null, code: "too_large", subject: "frame over 8192 bytes" },
    { user: "ipc-01", code: "too_large", subject: "frame over 20000 bytes" },
  ]);
});
