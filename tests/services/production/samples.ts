import type { Principal } from "../../../lib/contracts/directory.ts";
import type { Event } from "../../../lib/contracts/events.ts";
import { EntryFields, type EntryInput } from "../../../lib/contracts/production.ts";
import type { Names } from "../../../services/production/rules.ts";

/* Names, events and fields that the tests of this service share. */

export const NOW = Date.parse("2026-11-24T12:00:00.000Z");
export const MARIA = `p-${"a".repeat(32)}`;
export const RUI = `p-${"b".repeat(32)}`;

/** A UUID of version 7 that is told apart by its number. */
export function uuid(number: number): string {
  return `01938000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
}

export function fields(given: Partial<EntryInput> = {}): EntryFields {
  return EntryFields.parse({ machine: "press-01", lot: "L-100", ...given });
}

export function machine(name: string, given: Partial<Principal> = {}): Principal {
  return principal({ name, kind: "machine", profile: "machine", sub: name, credential: "key", ...given });
}

export function person(name: string, sub: string, profile: Principal["profile"]): Principal {
  return principal({ name, kind: "person", profile, sub, credential: "password" });
}

function principal(
  given: Pick<Principal, "name" | "kind" | "profile" | "sub" | "credential"> & Partial<Principal>,
): Principal {
  return { v: 1, active: true, publicKey: null, speaksFor: [], registeredAt: "2026-11-01T00:00:00.000Z", ...given };
}

export function namesOf(...principals: Principal[]): Names {
  return {
    byName: (name) => principals.find((one) => one.name === name),
    bySub: (sub) => principals.find((one) => one.sub === sub),
    all: () => principals,
  };
}

/** The plant of most tests: two presses, a gateway that speaks for one of them, an operator and an analyst. */
export const NAMES: Names = namesOf(
  machine("press-01"),
  machine("press-02"),
  machine("press-09", { active: false }),
  machine("gateway-1", { speaksFor: ["press-02"] }),
  person("maria", MARIA, "operator"),
  person("rui", RUI, "analyst"),
);

/** An event as a machine's outbox sends it. */
export function machineEvent(given: Partial<Event> = {}): Event {
  const id = given.id ?? uuid(1);
  return {
    v: 1,
    id,
    type: "entry.created",
    at: new Date(NOW).toISOString(),
    tz: "America/Sao_Paulo",
    clock: { source: "ntp", offsetMs: 3 },
    actor: { sub: "press-01", auth: "device" },
    src: { name: "press-01", app: "edge-agent@test", outbox: { epoch: "0123456789abcdef", dseq: 1 } },
    obj: { kind: "entry", key: id },
    reason: null,
    payload: { fields: fields({ good: 10 }) },
    ...given,
  };
}
