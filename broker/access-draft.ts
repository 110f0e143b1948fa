import type { Principal } from "../lib/contracts/directory.ts";
import type { ErrorCode } from "../lib/contracts/errors.ts";
import type { EventDraft, EventType, Sealed } from "../lib/contracts/events.ts";
import { actorOf } from "../lib/runtime/refusal-event.ts";
import type { RefusalReport } from "../lib/runtime/refusals.ts";
import type { AccessEvent } from "./access-events.ts";
import type { EndedBecause } from "./live-connections.ts";

/** What is counted together for one name and address. */
export type AccessCode =
  `${AccessEvent["kind"] | "request-refused"} ${ErrorCode | NonNullable<AccessEvent["by"]> | EndedBecause}`;

/** Stands for a name that nobody has: what was typed may be a password in the wrong field, or a person's name. */
const NOBODY = "unknown";

const TYPES: Readonly<Record<AccessEvent["kind"], EventType>> = {
  admitted: "connection.admitted",
  "taken-over": "connection.taken-over",
  "sign-in-refused": "connection.refused",
  "connection-refused": "connection.refused",
  "frame-refused": "connection.ended",
  "too-slow": "connection.ended",
  disconnected: "connection.ended",
  "queue-dropped": "queue.dropped",
  "queue-ended": "queue.ended",
  "publish-refused": "packet.refused",
  "subscribe-refused": "packet.refused",
};
/** Before these the hub had checked who it is; before the others somebody only claimed a name. */
const PROVEN: ReadonlySet<string> = new Set(["admitted", "taken-over", "publish-refused", "subscribe-refused"]);

/**
 * What the audit book is told of access. It carries ids only; a person's address lies sealed under that person's key,
 * any other is left out.
 *
 * @param o.principal - whose name it was; undefined when nobody has it.
 */
export function accessDraft(o: {
  report: RefusalReport<AccessCode>;
  principal: Principal | undefined;
  address: Sealed | null;
  service: { name: string; tz: string };
  id: string;
  now: number;
}): EventDraft {
  const { report, principal } = o;
  const [kind = "", code = ""] = report.code.split(" ");
  return {
    id: o.id,
    type: typeOf(kind, report.detail),
    at: instant(o.now),
    tz: o.service.tz,
    clock: { source: "unknown", offsetMs: null },
    actor: actorOf(PROVEN.has(kind) ? principal : undefined, o.service.name),
    obj: objectOf(kind, report.detail, principal),
    reason: null,
    payload: {
      what: kind,
      by: code,
      count: report.count,
      first: instant(report.from),
      last: instant(report.to),
      whose: principal?.sub ?? null,
      detail: report.detail,
      address: o.address,
    },
  };
}

/** A request was refused at the directory's door; signing in there is what starts a session. */
function typeOf(kind: string, path: string): EventType {
  if (kind !== "request-refused") return TYPES[kind as AccessEvent["kind"]];
  return path === "directory/sessions" ? "session.refused" : "request.refused";
}

function objectOf(kind: string, detail: string, principal: Principal | undefined): EventDraft["obj"] {
  if (kind === "publish-refused" || kind === "subscribe-refused") return { kind: "topic", key: detail };
  if (kind === "request-refused" && detail !== "directory/sessions") return { kind: "operation", key: detail };
  return { kind: principal?.kind ?? "name", key: principal?.sub ?? NOBODY };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
