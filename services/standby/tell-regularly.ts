import type { After } from "../../lib/messaging/timing.ts";

/** At most once in this time, ms. */
const TELL_EVERY_MS = 1000;

/**
 * Tells of changes at once and then at most once a second; the last one is always told. What could not be told is
 * told with the next change.
 */
export function tellRegularly(o: { tell: () => Promise<void>; after: After }): { changed(): void; stop(): void } {
  let resting = false;
  let again = false;
  let cancel = () => {};

  function tell(): void {
    again = false;
    resting = true;
    o.tell().catch(() => undefined);
    cancel = o.after(TELL_EVERY_MS, () => {
      resting = false;
      if (again) tell();
    });
  }

  return {
    changed() {
      if (resting) again = true;
      else tell();
    },
    stop: () => cancel(),
  };
}
