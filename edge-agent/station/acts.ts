import { createRefusals, type RefusalReport } from "../../lib/runtime/refusals.ts";
import type { ErrorCode } from "../../lib/contracts/errors.ts";
import type { EventDraft } from "../../lib/contracts/events.ts";
import type { Moment } from "../own-events.ts";
import type { OpenSession, SessionEnd } from "./sessions.ts";

/** Stands for a name that is not kept here: it may be a password that was typed into the wrong field. */
const NOBODY = "unknown";

export interface StationActs {
  started(session: OpenSession): void;
  ended(session: OpenSession, why: SessionEnd): void;
  /** A try without the hub that failed; those at the hub it puts on record itself. */
  refused(o: { sub: string | null; code: ErrorCode }): void;
  close(): void;
}

/**
 * What the audit book is told of sign-ins at the station. Refused ones in counts: the first at once, then one a minute.
 *
 * @param o.record - brings an event into the outbox; does not fail.
 */
export function createActs(o: {
  machine: string;
  app: string;
  record: (draft: EventDraft) => void;
  moment: () => Moment;
  now: () => number;
}): StationActs {
  const refusals = createRefusals({
    emit: (report) => o.record(refusedDraft(o.machine, report, o.moment())),
    now: o.now,
  });
  const ofSession = (type: "session.started" | "session.ended", { id, person }: OpenSession): EventDraft => ({
    ...o.moment(),
    type,
    actor: { sub: person.sub, auth: person.auth },
    obj: { kind: "session", key: id },
    reason: null,
    payload: {},
  });
  return {
    started(session) {
      const { profile, hub } = session.person;
      o.record({
        ...ofSession("session.started", session),
        payload: { app: o.app, profile, machine: o.machine, hub: hub?.session ?? null },
      });
    },
    ended: (session, why) =>
      o.record({ ...ofSession("session.ended", session), payload: { why, whose: session.person.sub } }),
    refused: ({ sub, code }) => refusals.note({ principal: sub ?? NOBODY, address: null, code, detail: "station" }),
    close: () => refusals.close(),
  };
}

function refusedDraft(
  machine: string,
  { principal, code, count, from, to }: RefusalReport,
  moment: Moment,
): EventDraft {
  const instant = (ms: number) => new Date(ms).toISOString();
  return {
    ...moment,
    type: "session.refused",
    actor: { sub: machine, auth: "device" },
    obj: { kind: "machine", key: machine },
    reason: null,
    payload: { whose: principal, code, count, first: instant(from), last: instant(to) },
  };
}
