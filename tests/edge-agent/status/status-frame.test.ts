import * as fc from "fast-check";
import mqttPacket, { type IPublishPacket } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import {
  createStatusFrame,
  LOT_BYTES,
  type StatusValues,
  UNKNOWN_STATUS,
} from "../../../edge-agent/status/status-frame.ts";
import { PackMlState, Status } from "../../../lib/contracts/machine.ts";

const perMille = fc.option(fc.integer({ min: 0, max: 1000 }));
const count = fc.option(fc.maxSafeNat());
const values: fc.Arbitrary<StatusValues> = fc.record({
  state: fc.option(fc.constantFrom(...PackMlState.options)),
  cpu: perMille,
  mem: perMille,
  disk: perMille,
  lot: fc.option(fc.string({ unit: "binary", maxLength: 100 })),
  good: count,
  scrap: count,
});
const machine = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/).filter((id) => id.length <= 63);

function parse(frame: Buffer): IPublishPacket {
  const packets: IPublishPacket[] = [];
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  parser.on("packet", (packet) => packets.push(packet as IPublishPacket));
  parser.on("error", (error) => expect.unreachable(error.message));
  const left = parser.parse(frame);
  expect(left, "bytes after the packet").toBe(0);
  expect(packets).toHaveLength(1);
  return packets[0] as IPublishPacket;
}

function lotThatFits(lot: string | null): string | null {
  return Buffer.byteLength(JSON.stringify(lot)) > LOT_BYTES ? null : (JSON.parse(JSON.stringify(lot)) as string | null);
}

describe("a status frame", () => {
  test("is one retained QoS 0 PUBLISH whose payload is a status of at most 256 bytes, whatever it says", () => {
    const steps = fc.array(fc.record({ values, seq: fc.maxSafeNat(), t: fc.maxSafeNat() }), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(machine, steps, (id, said) => {
        const frame = createStatusFrame(id);
        for (const step of said) {
          frame.set(step.values);
          const packet = parse(frame.encode(step.seq, step.t));
          expect(packet).toMatchObject({
            cmd: "publish",
            qos: 0,
            retain: true,
            dup: false,
            topic: `machines/${id}/status`,
          });
          const text = packet.payload.toString();
          expect(Buffer.byteLength(text)).toBeLessThanOrEqual(256);
          const status = { v: 1, seq: step.seq, t: step.t, ...step.values, lot: lotThatFits(step.values.lot) };
          expect(Status.parse(JSON.parse(text))).toEqual(status);
          expect(Object.keys(JSON.parse(text) as object).join()).toBe("v,seq,t,state,cpu,mem,disk,lot,good,scrap");
        }
      }),
    );
  });

  test("counts on over every change of length, with the time in place", () => {
    const frame = createStatusFrame("ipc-07");
    for (const from of [0, 8, 98, 998, 99_998]) {
      for (let seq = from; seq < from + 4; seq++) {
        const t = 1_795_000_000_000 + seq;
        const status = { v: 1, seq, t, ...UNKNOWN_STATUS };
        expect(parse(frame.encode(seq, t)).payload.toString()).toBe(JSON.stringify(status));
      }
    }
  });

  test("goes back to a smaller number when the clock was put back", () => {
    const frame = createStatusFrame("ipc-07");
    frame.encode(1, 1_795_000_000_000);
    expect(parse(frame.encode(2, 7)).payload.toString()).toContain('"seq":2,"t":7,');
  });

  test("has a remaining length of two bytes above 127 and of one up to it", () => {
    const long = createStatusFrame("a").encode(1, 1_795_000_000_000);
    expect([long[1], long[2]]).toEqual([128 | ((long.length - 3) & 127), 1]);
    const short = createStatusFrame("a").encode(1, 1);
    expect(short[1]).toBe(short.length - 2);
  });

  test("leaves a lot out that is too long, rather than naming another one", () => {
    const frame = createStatusFrame("ipc-07");
    frame.set({ ...UNKNOWN_STATUS, lot: "ß".repeat(64) });
    expect(Status.parse(JSON.parse(parse(frame.encode(1, 1)).payload.toString())).lot).toBeNull();
  });
});
