import * as fc from "fast-check";
import mqttPacket, { type Packet } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { createStatusCutter } from "../../../broker/lane/status-cutter.ts";

const TOPIC = "machines/ipc-01/status";
const LONGEST = 40;

/** Cuts the chunks, and says what went where, in order. */
function cutAll(chunks: Buffer[], o: { mayTake?: () => boolean; ended?: () => boolean } = {}) {
  const seen: { to: "lane" | "aedes"; bytes: Buffer }[] = [];
  const cutter = createStatusCutter({
    topic: TOPIC,
    longestPayload: LONGEST,
    mayTake: o.mayTake ?? (() => true),
    take: (chunk, start, end) => seen.push({ to: "lane", bytes: Buffer.from(chunk.subarray(start, end)) }),
    passOn: (bytes) => seen.push({ to: "aedes", bytes: Buffer.from(bytes) }),
    ended: o.ended ?? (() => false),
  });
  for (const chunk of chunks) cutter.cut(chunk);
  const joined = (to: "lane" | "aedes") =>
    Buffer.concat(seen.filter((part) => part.to === to).map(({ bytes }) => bytes));
  return { seen, lane: joined("lane"), aedes: joined("aedes") };
}

const frameOf = (packet: Packet) => mqttPacket.generate(packet, { protocolVersion: 4 });
const publish = (change: Partial<{ topic: string; payload: string; qos: 0 | 1; retain: boolean }> = {}) => {
  const { topic = TOPIC, payload = "12", qos = 0, retain = true } = change;
  return frameOf({ cmd: "publish", topic, payload, qos, retain, dup: false, ...(qos > 0 ? { messageId: 7 } : {}) });
};

describe("of everything that one machine may send", () => {
  const status = fc
    .string({ minLength: 1, maxLength: LONGEST, unit: "grapheme-ascii" })
    .map((payload) => publish({ payload }));
  const other = fc.oneof(
    fc.constantFrom(
      frameOf({ cmd: "pingreq" }),
      publish({ payload: "" }),
      publish({ payload: "x".repeat(LONGEST + 1) }),
      publish({ payload: "x".repeat(20_000) }),
      publish({ qos: 1 }),
      publish({ retain: false }),
      publish({ topic: "machines/ipc-02/status" }),
      publish({ topic: `${TOPIC}x` }),
      publish({ topic: TOPIC.slice(0, -1) }),
      publish({ topic: "machines/ipc-01/summary" }),
      frameOf({ cmd: "puback", messageId: 3 }),
    ),
  );
  const stream = fc.array(
    fc.oneof(
      status.map((bytes) => ({ lane: true, bytes })),
      other.map((bytes) => ({ lane: false, bytes })),
    ),
    {
      maxLength: 40,
    },
  );

  it("takes the statuses and passes everything else on unchanged, however the bytes are cut into chunks", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1 }), (frames, sizes) => {
        const bytes = Buffer.concat(frames.map((frame) => frame.bytes));
        const chunks: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        const { lane, aedes } = cutAll(chunks);
        const expected = (taken: boolean) =>
          Buffer.concat(frames.filter((frame) => frame.lane === taken).map((frame) => frame.bytes));
        expect(lane).toEqual(expected(true));
        expect(aedes).toEqual(expected(false));
      }),
    );
  });

  it("keeps the order between what is taken and what is passed on in one chunk", () => {
    const { seen } = cutAll([
      Buffer.concat([publish({ payload: "1" }), frameOf({ cmd: "pingreq" }), publish({ payload: "2" })]),
    ]);
    expect(seen.map(({ to }) => to)).toEqual(["lane", "aedes", "lane"]);
  });
});

describe("what is no MQTT", () => {
  it("passes on everything from a malformed length on", () => {
    const malformed = Buffer.concat([Buffer.from([0x31, 0xff, 0xff, 0xff, 0xff, 0x01]), publish(), publish()]);
    const { lane, aedes } = cutAll([publish(), malformed.subarray(0, 3), malformed.subarray(3), publish()]);
    expect(lane).toEqual(publish());
    expect(aedes).toEqual(Buffer.concat([malformed, publish()]));
  });

  it("never keeps more than one status of what has not come whole", () => {
    const frame = publish({ payload: "x".repeat(LONGEST) });
    const { seen } = cutAll([...frame.subarray(0, -1)].map((byte) => Buffer.from([byte])));
    expect(seen).toEqual([]);
    const { aedes } = cutAll([Buffer.from([0x31, 0xff, 0x7f]), Buffer.from("machines/ipc")]);
    expect(aedes.length).toBe(15);
  });
});

describe("when statuses may not be taken", () => {
  it("passes them on, in their place", () => {
    let may = true;
    const { seen } = cutAll(
      [publish({ payload: "1" }), Buffer.concat([publish({ qos: 1 }), publish({ payload: "2" })])],
      {
        mayTake: () => may,
      },
    );
    expect(seen.map(({ to }) => to)).toEqual(["lane", "aedes", "lane"]);
    may = false;
    const { lane, aedes } = cutAll([publish()], { mayTake: () => may });
    expect([lane.length, aedes]).toEqual([0, publish()]);
  });

  it("drops what comes behind the end of the connection", () => {
    let ended = false;
    const { lane, aedes } = cutAll([publish(), frameOf({ cmd: "disconnect" }), publish()], {
      ended: () => ended,
      mayTake: () => {
        const first = !ended;
        ended = true;
        return first;
      },
    });
    expect(lane).toEqual(publish());
    expect(aedes).toEqual(frameOf({ cmd: "disconnect" }));
  });
});
