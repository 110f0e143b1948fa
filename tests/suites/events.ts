import { generateKeyPairSync, type KeyObject } from "node:crypto";
import type { Principal } from "../../lib/contracts/directory.ts";
import type { Event, EventDraft, SignedEvent } from "../../lib/contracts/events.ts";
import { canonicalBytes } from "../../lib/ledger/canonical.ts";
import { fingerprint, rawPublicKey, sign } from "../../lib/ledger/signature.ts";
import type { AppendInput } from "../../lib/storage/book/book.ts";

/** The instant of everything in these tests. */
export const NOW: number = Date.parse("2026-11-24T05:44:05.000Z");

/** The n-th id: a UUID version 7 that needs no randomness. */
export function idOf(n: number): string {
  return `0193f3a0-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;
}

/** Somebody with a key. */
export type Signer = { name: string; privateKey: KeyObject; raw: Buffer; key: string };

export function signer(name: string): Signer {
  const { privateKey } = generateKeyPairSync("ed25519");
  const raw = rawPublicKey(privateKey);
  return { name, privateKey, raw, key: fingerprint(raw) };
}

export function principalOf(signer: Signer, change: Partial<Principal> = {}): Principal {
  return {
    v: 1,
    name: signer.name,
    kind: "machine",
    profile: "machine",
    sub: signer.name,
    active: true,
    publicKey: signer.raw.toString("base64"),
    credential: "key",
    speaksFor: [signer.name],
    registeredAt: new Date(NOW).toISOString(),
    ...change,
  };
}

export function draft(n: number, change: Partial<EventDraft> = {}): EventDraft {
  return {
    id: idOf(n),
    type: "entry.created",
    at: new Date(NOW + n).toISOString(),
    tz: "America/Sao_Paulo",
    clock: { source: "ntp", offsetMs: 3 },
    actor: { sub: "ipc-07", auth: "device" },
    obj: { kind: "entry", key: idOf(n) },
    reason: null,
    payload: { good: n },
    ...change,
  };
}

/** The n-th event of an outbox, as its sender stages it. */
export function eventOf(signer: Signer, epoch: string, dseq: number, change: Partial<EventDraft> = {}): SignedEvent {
  const event: Event = {
    v: 1,
    ...draft(dseq, change),
    src: { name: signer.name, app: "edge-agent@0.1.0", outbox: { epoch, dseq } },
  };
  return signedBy(signer, event);
}

export function signedBy(signer: Signer, event: Event): SignedEvent {
  return { event, sig: sign(signer.privateKey, canonicalBytes(event)) };
}

/** What is appended for an event that arrived; unsigned without a signer. */
export function inputFor(n: number, by: Signer | null, change: Partial<EventDraft> = {}): AppendInput {
  const event = { v: 1, ...draft(n, change), src: { name: "ipc-07", app: "edge-agent@0.1.0", outbox: null } };
  return {
    recv: new Date(NOW).toISOString(),
    event,
    sig: by === null ? null : { by: by.name, key: by.key, value: sign(by.privateKey, canonicalBytes(event)) },
    via: { kind: "outbox", name: "ipc-07", session: null },
    added: { result: "booked", code: null, role: "machine", rev: 1, before: null, after: { good: n }, flags: [] },
  };
}
