import { topics } from "../../lib/contracts/topics.ts";
import type { Status } from "../../lib/contracts/machine.ts";

/** What a status says apart from its number and time; changes some ten times a second at most. */
export type StatusValues = Omit<Status, "v" | "seq" | "t">;

export const UNKNOWN_STATUS: StatusValues = {
  state: null,
  cpu: null,
  mem: null,
  disk: null,
  lot: null,
  good: null,
  scrap: null,
};

/**
 * The most bytes that a lot takes up in a status, quotes and escapes included. Everything else takes 164 at most, so
 * that any status stays within 256. A longer lot is left out (null), never cut: a cut one would name another lot.
 */
export const LOT_BYTES = 92;

/** PUBLISH, DUP 0, QoS 0, RETAIN 1 (MQTT 3.1.1 §3.3.1). */
const PUBLISH_RETAINED = 0x31;
const MAXIMUM_FRAME = 512;

export interface StatusFrame {
  /** Takes effect with the next {@link encode}. */
  set(values: StatusValues): void;
  /**
   * A whole MQTT PUBLISH of the machine's status. The bytes are good until the next call: all calls return views of
   * the same memory, so write them out or copy them first.
   *
   * @param seq - number of the tick, a safe integer from 0.
   * @param t - wall clock, ms since 1970.
   */
  encode(seq: number, t: number): Buffer;
}

/**
 * Keeps the frame laid out in one buffer and, tick by tick, only writes the digits of `seq` and `t` into it. The
 * layout is made anew when a value changes or a number gets another length.
 */
export function createStatusFrame(machine: string): StatusFrame {
  const topic = Buffer.from(topics.status(machine));
  const buffer = Buffer.alloc(MAXIMUM_FRAME);
  let tail = tailOf(UNKNOWN_STATUS);
  let seqField = { at: 0, digits: 0, limit: 0 };
  let timeField = { at: 0, digits: 0, limit: 0 };
  let frame = buffer.subarray(0, 0);

  const layOut = (seq: number, t: number) => {
    const payload = `{"v":1,"seq":${seq},"t":${t}${tail}`;
    const payloadLength = Buffer.byteLength(payload);
    let at = putHeader(buffer, topic, payloadLength);
    seqField = field(at + 13, seq);
    timeField = field(seqField.at + seqField.digits + 5, t);
    at += buffer.write(payload, at);
    frame = buffer.subarray(0, at);
  };

  return {
    set: (values) => {
      const next = tailOf(values);
      if (next === tail) return;
      tail = next;
      seqField.limit = 0;
    },
    encode: (seq, t) => {
      if (!fits(seqField, seq) || !fits(timeField, t)) {
        layOut(seq, t);
        return frame;
      }
      putDigits(buffer, seqField, seq);
      putDigits(buffer, timeField, t);
      return frame;
    },
  };
}

type Field = { at: number; digits: number; /** First number with more digits; 0 forces a new layout. */ limit: number };

function field(at: number, value: number): Field {
  const digits = String(value).length;
  return { at, digits, limit: 10 ** digits };
}

function fits(of: Field, value: number): boolean {
  return value < of.limit && (value >= of.limit / 10 || of.digits === 1);
}

function putDigits(buffer: Buffer, { at, digits }: Field, value: number): void {
  let rest = value;
  for (let index = at + digits - 1; index >= at; index--) {
    const tenth = Math.floor(rest / 10);
    buffer[index] = 48 + rest - tenth * 10;
    rest = tenth;
  }
}

/** Fixed header, remaining length (§2.2.3: seven bits a byte, the eighth says that more follow) and topic. */
function putHeader(buffer: Buffer, topic: Buffer, payloadLength: number): number {
  let at = 0;
  buffer[at++] = PUBLISH_RETAINED;
  let remaining = 2 + topic.length + payloadLength;
  do {
    const more = remaining > 127 ? 128 : 0;
    buffer[at++] = (remaining & 127) | more;
    remaining >>= 7;
  } while (remaining > 0);
  at = buffer.writeUInt16BE(topic.length, at);
  return at + topic.copy(buffer, at);
}

function tailOf(values: StatusValues): string {
  const lot = lotText(values.lot);
  const { state, cpu, mem, disk, good, scrap } = values;
  const stateText = state === null ? "null" : `"${state}"`;
  return `,"state":${stateText},"cpu":${cpu},"mem":${mem},"disk":${disk},"lot":${lot},"good":${good},"scrap":${scrap}}`;
}

function lotText(lot: string | null): string {
  const text = JSON.stringify(lot);
  return Buffer.byteLength(text) > LOT_BYTES ? "null" : text;
}
