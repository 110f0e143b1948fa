import { Duplex } from "node:stream";
import type { AedesPublishPacket } from "aedes";
import * as fc from "fast-check";
import mqttPacket, { type IPublishPacket } from "mqtt-packet";
import { describe, expect, it } from "vitest";
import type { AedesClient } from "../../broker/aedes-internals.ts";
import { createOutlet, createSharedFrames, OUTLET_LIMITS, type OutletLimits } from "../../broker/outlet.ts";
import { createTurn } from "../../broker/turn.ts";

/** A connection whose reader takes one write at a time, when the test says so. */
function slowConnection(limits: Partial<OutletLimits> = {}) {
  const received: IPublishPacket[] = [];
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  parser.on("packet", (packet) => received.push(packet as IPublishPacket));
  let taking: (() => void) | null = null;
  const conn = new Duplex({
    writableHighWaterMark: 64,
    read() {},
    write(chunk: Buffer, _encoding, done) {
      taking = () => {
        taking = null;
        parser.parse(chunk);
        done();
      };
    },
  });
  const client = {
    conn,
    closed: false,
    clean: true,
    connackSent: true,
    _nextId: 1,
    subscriptions: { "#": { qos: 1 } },
  } as unknown as AedesClient;
  const counters = { sent: 0, skipped: 0, dropped: 0 };
  let overflows = 0;
  const outlet = createOutlet({
    client,
    frameOf: createSharedFrames(),
    turn: createTurn(),
    counters,
    limits: { ...OUTLET_LIMITS, ...limits },
    onOverflow: () => (overflows += 1),
  });
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const isTaking = () => taking !== null;
  return {
    outlet,
    counters,
    received,
    overflows: () => overflows,
    turn,
    async take() {
      taking?.();
      await turn();
    },
    async takeAll() {
      do {
        taking?.();
        await turn();
      } while (isTaking());
    },
  };
}

let counter = 0;
function message(topic: string, text: string, qos: 0 | 1 = 0): AedesPublishPacket {
  counter += 1;
  const payload = Buffer.from(text);
  return {
    cmd: "publish",
    topic,
    payload,
    qos,
    retain: false,
    dup: false,
    brokerId: "b",
    brokerCounter: counter,
  } as never;
}
const PADDING = "x".repeat(80);

describe("what is sent to a slow connection", () => {
  const step = fc.oneof(
    fc.record({ topic: fc.constantFrom("a", "b", "c"), qos: fc.constantFrom(0 as const, 1 as const) }),
    fc.constant("turn" as const),
    fc.constant("take" as const),
  );

  it("has every QoS 1 message and the newest QoS 0 one of each topic, each topic in its order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { outlet, received, counters, turn, take, takeAll } = slowConnection();
        const sent: { topic: string; qos: 0 | 1; index: number }[] = [];
        let done = 0;
        for (const [index, one] of steps.entries()) {
          if (one === "turn") await turn();
          else if (one === "take") await take();
          else {
            const packet = message(one.topic, `${index} ${PADDING}`, one.qos);
            if (one.qos === 1) outlet.sendQoS(packet, () => (done += 1));
            else outlet.send0(packet, () => (done += 1));
            sent.push({ ...one, index });
          }
        }
        // Nobody ever waits for a slow connection.
        expect(done).toBe(sent.length);
        await turn();
        await takeAll();
        const indexOf = ({ payload }: IPublishPacket) => Number(payload.toString().split(" ")[0]);
        for (const topic of ["a", "b", "c"]) {
          const given = sent.filter((entry) => entry.topic === topic);
          const got = received.filter((packet) => packet.topic === topic).map(indexOf);
          const queued = given.filter(({ qos }) => qos === 1).map(({ index }) => index);
          expect(got).toEqual(got.toSorted((a, b) => a - b));
          expect(got).toEqual(expect.arrayContaining(queued));
          expect(got.at(-1)).toBe(given.at(-1)?.index);
        }
        expect(received.length + counters.skipped).toBe(sent.length);
        expect(counters).toMatchObject({ sent: received.length, dropped: 0 });
      }),
      { numRuns: 150 },
    );
  });

  it("keeps no more QoS 0 topics than it may, and counts what it drops", async () => {
    const { outlet, received, counters, turn, takeAll } = slowConnection({ heldTopics: 3 });
    outlet.send0(message("first", PADDING), () => undefined);
    await turn();
    for (let index = 0; index < 10; index += 1) outlet.send0(message(`t/${index}`, PADDING), () => undefined);
    await takeAll();
    expect(received.map(({ topic }) => topic)).toEqual(["first", "t/0", "t/1", "t/2"]);
    expect(counters).toMatchObject({ dropped: 7, skipped: 0 });
  });

  it("drops an older value with the newer one that has no place", async () => {
    const { outlet, received, turn, takeAll } = slowConnection({ heldBytes: 200 });
    outlet.send0(message("first", PADDING), () => undefined);
    await turn();
    outlet.send0(message("a", "old"), () => undefined);
    outlet.send0(message("a", "n".repeat(300)), () => undefined);
    await takeAll();
    expect(received.map(({ topic }) => topic)).toEqual(["first"]);
  });

  it("ends the connection when more QoS 1 waits than may, and says so once", async () => {
    const { outlet, overflows, turn } = slowConnection({ queuedMessages: 5 });
    outlet.send0(message("first", PADDING), () => undefined);
    await turn();
    let done = 0;
    for (let index = 0; index < 10; index += 1) outlet.sendQoS(message("a", PADDING, 1), () => (done += 1));
    expect({ done, overflows: overflows() }).toEqual({ done: 10, overflows: 1 });
  });

  it("writes what comes in one turn at once", async () => {
    const { outlet, received, turn, take } = slowConnection();
    for (let index = 0; index < 5; index += 1) outlet.send0(message(`t/${index}`, "1"), () => undefined);
    await turn();
    await take();
    expect(received).toHaveLength(5);
  });
});
