/** The newest message of each topic, kept for a reader that is behind. */
export interface HeldValues {
  readonly size: number;
  /** Keeps this one instead of what the topic had. @returns what became of it; `full`: neither is kept. */
  keep(topic: string, frame: Buffer): "new" | "replaced" | "full";
  has(topic: string): boolean;
  /** Takes one topic's out. */
  take(topic: string): Buffer | undefined;
  /** Takes all of them out. */
  takeAll(): Buffer[];
}

/** @param o.topics, o.bytes - what is kept at most; a message beyond either is dropped with what its topic had. */
export function createHeldValues(o: { topics: number; bytes: number }): HeldValues {
  const frames = new Map<string, Buffer>();
  let bytes = 0;
  const take = (topic: string) => {
    const frame = frames.get(topic);
    if (frame === undefined) return undefined;
    frames.delete(topic);
    bytes -= frame.length;
    return frame;
  };
  return {
    get size() {
      return frames.size;
    },
    keep(topic, frame) {
      const before = frames.get(topic);
      const after = bytes - (before?.length ?? 0) + frame.length;
      if (after > o.bytes || (before === undefined && frames.size >= o.topics)) {
        // An older value must not be sent in place of a newer one.
        take(topic);
        return "full";
      }
      frames.set(topic, frame);
      bytes = after;
      return before === undefined ? "new" : "replaced";
    },
    has: (topic) => frames.has(topic),
    take,
    takeAll() {
      const all = [...frames.values()];
      frames.clear();
      bytes = 0;
      return all;
    },
  };
}
