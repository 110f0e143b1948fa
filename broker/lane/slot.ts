import type { AedesPublishPacket } from "aedes";
import type { Reader } from "./readers.ts";

/** A longer status goes through Aedes. */
export const LONGEST_PAYLOAD = 512;
/** Fixed header, topic and payload of the longest. */
const LONGEST_FRAME = 3 + 2 + 128 + LONGEST_PAYLOAD;

/** A machine may send so many statuses in so many ms; beyond that only its newest is sent, when the lane tidies. */
const WINDOW_MS = 1000;
const PER_WINDOW = 2000;

/** The status topic of one machine and its newest frame. */
export type Slot = {
  topic: string;
  frame: Buffer;
  length: number;
  payload: number;
  /** The newest frame's place in the count of all. */
  seq: number;
  /** False while what is retained came another way. */
  fresh: boolean;
  /** The persistence has not got the newest. */
  dirty: boolean;
  windowEnds: number;
  left: number;
  /** Readers at full rate that do not read every slot. */
  partial: Set<Reader>;
};

/** A slot that nothing came into yet. */
export function newSlot(topic: string): Slot {
  const frame = Buffer.alloc(LONGEST_FRAME);
  const state = { length: 0, payload: 0, seq: 0, fresh: false, dirty: false, windowEnds: 0, left: 0 };
  return { topic, frame, ...state, partial: new Set() };
}

/** Takes one more status of the machine into account. @returns whether it is slow enough for each to be sent. */
export function mayFollow(slot: Slot, now: number): boolean {
  if (now >= slot.windowEnds) {
    slot.windowEnds = now + WINDOW_MS;
    slot.left = PER_WINDOW;
  }
  slot.left -= 1;
  return slot.left >= 0;
}

/** A copy of the newest frame, under another first byte of the fixed header. */
export function frameOf(slot: Slot, first: number): Buffer {
  const frame = Buffer.from(slot.frame.subarray(0, slot.length));
  frame[0] = first;
  return frame;
}

/** The newest frame as the persistence takes it. */
export function packetOf(slot: Slot): AedesPublishPacket {
  const payload = Buffer.from(slot.frame.subarray(slot.payload, slot.length));
  return {
    cmd: "publish",
    brokerId: "",
    brokerCounter: 0,
    topic: slot.topic,
    payload,
    qos: 0,
    retain: true,
    dup: false,
  };
}
