import type { Duplex } from "node:stream";
import type { RateMeter } from "./rate-meter.ts";
import type { StatusFrame } from "./status-frame.ts";

/** As much of the link as the lane needs. */
export interface LanePort {
  /** The socket; null while not connected. */
  stream(): Duplex | null;
}

export type LaneOptions = { link: LanePort; frame: StatusFrame; meter: RateMeter; wallClock: () => number };

export interface StatusLane {
  /** Sends the status of one tick, or skips it. `now`: monotonic ms. */
  tick: (seq: number, now: number) => void;
  /** Statuses that were not sent because the socket had not drained, since start. */
  skipped: () => number;
}

/**
 * Writes statuses past the MQTT client, straight to its socket.
 *
 * Why the two never cut into each other's packets: the client writes a packet's pieces within one synchronous call
 * (mqtt-packet's `writeToStream` corks, writes all pieces, and uncorks in the next tick), and this lane writes one
 * whole packet within a timer's call. A stream keeps the order of writes, corked or not, so that every piece of a
 * packet is queued before the other's first.
 *
 * While anything waits in the stream the status is skipped: the newest one goes when the socket has drained, none is
 * ever queued. That is also what makes the frame's one buffer safe: it is written again only after the kernel has
 * taken all of it.
 */
export function createStatusLane({ link, frame, meter, wallClock }: LaneOptions): StatusLane {
  let skipped = 0;
  return {
    tick: (seq, now) => {
      const stream = link.stream();
      if (stream === null || !stream.writable) return;
      if (stream.writableLength > 0) {
        skipped++;
        return;
      }
      stream.write(frame.encode(seq, wallClock()));
      meter.note(now);
    },
    skipped: () => skipped,
  };
}
