import type { EventDraft } from "../../lib/contracts/events.ts";
import type { After } from "../../lib/messaging/timing.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import { duplicateEvent } from "./duplicate-event.ts";
import { createDuplicates, type Duplicate, type Duplicates } from "./duplicates.ts";
import type { HubView } from "./hub-view.ts";

/** Duplicates, each put on record for audit when it is found and when it has ended. */
export function watchDuplicates(o: {
  hub: Pick<HubView, "addresses">;
  tell: (draft: EventDraft) => Promise<unknown>;
  newId: () => string;
  now: () => number;
  tz: string;
  after: After;
  /** Called when a machine is one again. */
  onEnded: (machine: string) => void;
  log: Logger;
}): Duplicates {
  const record =
    (type: "machine.duplicated" | "machine.duplicate-ended") => (machine: string, duplicate: Duplicate) => {
      const addresses = o.hub.addresses(machine);
      o.log.warn({ machine, addresses, boots: duplicate.boots }, type);
      const draft = duplicateEvent({ id: o.newId(), now: o.now(), tz: o.tz, type, machine, duplicate, addresses });
      o.tell(draft).catch((error: unknown) => o.log.error({ err: error }, `${type} could not be put on record`));
    };
  const { now, after } = o;
  const recordEnd = record("machine.duplicate-ended");
  return createDuplicates({
    now,
    after,
    onFound: record("machine.duplicated"),
    onEnded: (machine, duplicate) => {
      recordEnd(machine, duplicate);
      o.onEnded(machine);
    },
  });
}
