/** A PUBLISH at QoS 0 that is retained (MQTT 3.1.1 §3.3.1): what a status looks like. */
export const RETAINED_QOS0 = 0x31;

/** The "remaining length" of a fixed header has at most four bytes (§2.2.3). */
const LONGEST_HEADER = 5;

/** Takes the statuses out of what one machine sends. */
export interface StatusCutter {
  /** Takes the next chunk of the stream in; everything in it is taken or passed on, or kept until its rest has come. */
  cut(chunk: Buffer): void;
}

/**
 * Walks the fixed headers. A frame of the right shape and topic is taken; every other byte is passed on as it came, in
 * its place between them. Keeps at most one frame that has not come whole.
 *
 * @param o.longestPayload - a status with more is passed on; bytes.
 * @param o.mayTake - asked for each status, after everything before it was passed on.
 * @param o.take - gets a whole frame, `chunk[start, end)`; its payload begins at `payload`. Copy what is to be kept.
 * @param o.ended - true once the connection takes nothing in any more.
 */
export function createStatusCutter(o: {
  topic: string;
  longestPayload: number;
  mayTake: () => boolean;
  take: (chunk: Buffer, start: number, end: number, payload: number) => void;
  passOn: (bytes: Buffer) => void;
  ended: () => boolean;
}): StatusCutter {
  const topic = Buffer.concat([Buffer.from([0, Buffer.byteLength(o.topic)]), Buffer.from(o.topic)]);
  const shortest = topic.length + 1;
  const longest = topic.length + o.longestPayload;
  /** Bytes of a foreign frame that are still to come. */
  let foreign = 0;
  let kept: Buffer | null = null;
  /** The stream is not MQTT: what reads it after us decides. */
  let malformed = false;

  function cut(chunk: Buffer): void {
    const bytes = kept === null ? chunk : Buffer.concat([kept, chunk]);
    kept = null;
    let passedTo = 0;
    let at = 0;
    const passUpTo = (end: number) => {
      if (passedTo < end) o.passOn(passedTo === 0 && end === bytes.length ? bytes : bytes.subarray(passedTo, end));
      passedTo = end;
    };

    while (at < bytes.length && !malformed) {
      if (foreign > 0) {
        const step = Math.min(foreign, bytes.length - at);
        foreign -= step;
        at += step;
        continue;
      }
      const body = bodyStart(bytes, at);
      if (body === MALFORMED) {
        malformed = true;
        break;
      }
      if (body === INCOMPLETE) {
        passUpTo(at);
        kept = Buffer.from(bytes.subarray(at));
        return;
      }
      const length = remainingLength(bytes, at);
      if (!isStatus(bytes, at, body, length)) {
        foreign = body - at + length;
        continue;
      }
      const end = body + length;
      passUpTo(at);
      if (o.ended()) return;
      if (end > bytes.length) {
        kept = Buffer.from(bytes.subarray(at));
        return;
      }
      if (o.mayTake()) {
        o.take(bytes, at, end, body + topic.length);
        passedTo = end;
      }
      at = end;
    }
    passUpTo(bytes.length);
  }

  /** As far as its bytes have come: one that turns out otherwise is passed on when they have. */
  function isStatus(bytes: Buffer, at: number, body: number, length: number): boolean {
    if (bytes[at] !== RETAINED_QOS0 || length < shortest || length > longest) return false;
    const come = Math.min(topic.length, bytes.length - body);
    // By hand: a call into native code costs more than the two dozen bytes do.
    for (let index = 0; index < come; index += 1) if (bytes[body + index] !== topic[index]) return false;
    return true;
  }

  return { cut };
}

const INCOMPLETE = -1;
const MALFORMED = -2;

/** Where the frame's variable header begins, or why that cannot be said. */
function bodyStart(bytes: Buffer, at: number): number {
  for (let next = at + 1; next < at + LONGEST_HEADER; next += 1) {
    const byte = bytes[next];
    if (byte === undefined) return INCOMPLETE;
    if (byte < 0x80) return next + 1;
  }
  return MALFORMED;
}

function remainingLength(bytes: Buffer, at: number): number {
  let length = 0;
  let unit = 1;
  for (let next = at + 1; ; next += 1) {
    const byte = bytes[next] ?? 0;
    length += (byte & 0x7f) * unit;
    if (byte < 0x80) return length;
    unit *= 128;
  }
}
