import { z } from "zod";
import { LOCAL_ADMIN } from "./directory.ts";
import { ErrorCode } from "./errors.ts";
import { Base64, BookName, Count, Instant, PersonId, Segment, Sha256Hex, Uuid7 } from "./names.ts";

/**
 * Free text or a name, encrypted under the key of the person whom it is about (AES-256-GCM, random 96-bit nonce;
 * additional data = `<event id>/<field>`). Destroying the key erases the text and leaves every hash intact.
 */
export const Sealed = z.strictObject({
  /** Whose key: a person's, or that of whoever holds the hub's local key. */
  key: z.union([PersonId, z.literal(LOCAL_ADMIN)]),
  nonce: Base64,
  /** Ciphertext followed by the 16-byte tag. */
  ct: Base64,
});
export type Sealed = z.infer<typeof Sealed>;

/**
 * How the actor was known: `session` signed in at the hub, `local` holds the hub's local key, `station` signed in at
 * the machine while the hub was in reach, `offline` the same without the hub, `device` a machine, `service` a service.
 */
export const ActorAuth = z.enum(["session", "local", "station", "offline", "device", "service"]);

export const Actor = z.strictObject({
  /** A person's random id, or the registered name of a machine or service. Never a person's name. */
  sub: z.union([PersonId, Segment]),
  auth: ActorAuth,
});
export type Actor = z.infer<typeof Actor>;

/** Every kind of event and the one book that owns it; `receiver` marks what a book's own service writes about its intake. */
export const EVENT_OWNERS = {
  "entry.created": "production",
  "entry.corrected": "production",
  "entry.voided": "production",
  "event.quarantined": "receiver",
  "gap.found": "receiver",
  "gap.closed": "receiver",
  "book.promoted": "receiver",
  "record.booked": "audit",
  "request.refused": "audit",
  "message.refused": "audit",
  "user.added": "audit",
  "user.password-set": "audit",
  "user.locked": "audit",
  "user.unlocked": "audit",
  "user.profile-set": "audit",
  "person.erased": "audit",
  "person.shown": "audit",
  "machine.added": "audit",
  "machine.revoked": "audit",
  "machine.readmitted": "audit",
  "machine.speaks-for-set": "audit",
  "service.added": "audit",
  "service.revoked": "audit",
  "certificate.issued": "audit",
  "session.started": "audit",
  "session.ended": "audit",
  "session.refused": "audit",
  "connection.admitted": "audit",
  "connection.refused": "audit",
  "connection.taken-over": "audit",
  "connection.ended": "audit",
  "packet.refused": "audit",
  "queue.dropped": "audit",
  "queue.ended": "audit",
  "machine.online": "audit",
  "machine.offline": "audit",
  "machine.duplicated": "audit",
  "machine.duplicate-ended": "audit",
  "agent.started": "audit",
  "command.proposed": "audit",
  "command.approved": "audit",
  "command.issued": "audit",
  "command.sent": "audit",
  "command.acknowledged": "audit",
  "command.running": "audit",
  "command.finished": "audit",
  "command.cancelled": "audit",
  "command.executed": "audit",
  "command.refused": "audit",
  "rollout.proposed": "audit",
  "rollout.approved": "audit",
  "rollout.begun": "audit",
  "rollout.wave-begun": "audit",
  "rollout.ended": "audit",
  "rollout.cancelled": "audit",
  "witness.offered": "audit",
  "witness.admitted": "audit",
  "witness.removed": "audit",
  "witness.refused": "audit",
  "witness.refusal-ended": "audit",
  "witness.unproven": "audit",
  "witness.unproven-ended": "audit",
  "witness.conflict": "audit",
  "witness.conflict-ended": "audit",
  "witness.quorum-degraded": "audit",
  "witness.quorum-restored": "audit",
  "witness.log-behind": "audit",
  "witness.log-caught-up": "audit",
  "book.loss-accepted": "audit",
  "book.verified": "audit",
  "log-key.rotated": "audit",
  "log-key.retired": "audit",
  "checkpoint.anchored": "audit",
  "book.restored": "receiver",
  "book.migrated": "receiver",
  "record.rebooked": "audit",
  "backup.made": "audit",
  "store.restored": "audit",
  "book.exported": "audit",
} as const satisfies Record<string, BookName | "receiver">;

export type EventType = keyof typeof EVENT_OWNERS;
export const EventType = z.enum(Object.keys(EVENT_OWNERS) as [EventType, ...EventType[]]);

/** A place in one outbox: `epoch` is random at the outbox's creation, `dseq` counts from 1 without a gap. */
export const OutboxPosition = z.strictObject({ epoch: z.string().regex(/^[0-9a-f]{16}$/), dseq: z.int().min(1) });
export type OutboxPosition = z.infer<typeof OutboxPosition>;

/**
 * What the origin knew, once, for good. Its canonical JSON (RFC 8785) is what the origin signs, and it is embedded
 * in the record unchanged. Numbers are integers or decimal strings.
 */
export const Event = z.strictObject({
  v: z.literal(1),
  id: Uuid7,
  type: EventType,
  /** When it happened, by the origin's clock. */
  at: Instant,
  /** IANA zone of the place where it happened. */
  tz: z.string().min(1).max(64),
  /** Whether the origin's clock was in step. `offsetMs` is null when it is not known. */
  clock: z.strictObject({ source: z.enum(["ntp", "none", "unknown"]), offsetMs: z.int().nullable() }),
  actor: Actor,
  src: z.strictObject({
    name: Segment,
    /** Software and version: `edge-agent@0.1.0`. */
    app: z.string().min(1).max(64),
    /** Null for what a service books itself, without an outbox. */
    outbox: OutboxPosition.nullable(),
  }),
  obj: z.strictObject({ kind: Segment, key: z.string().min(1).max(128) }),
  reason: z.strictObject({ code: z.string().min(1).max(32), text: Sealed.nullable() }).nullable(),
  payload: z.record(z.string(), z.json()),
});
export type Event = z.infer<typeof Event>;

/** An event before the outbox gives it its place and the origin signs it. */
export type EventDraft = Omit<Event, "v" | "src">;

/** An event and its origin's Ed25519 signature over the canonical bytes; null for a device that cannot sign. */
export const SignedEvent = z.strictObject({ event: Event, sig: Base64.nullable() });
export type SignedEvent = z.infer<typeof SignedEvent>;

/**
 * What travels on `machines/<id>/events/<book>` and `services/<name>/events/<book>`. The events are read loosely
 * here: one that does not fit {@link SignedEvent} is quarantined by itself and does not hold up the others.
 */
export const EventBatch = z.strictObject({
  v: z.literal(1),
  epoch: z.string().regex(/^[0-9a-f]{16}$/),
  /** The lowest dseq that the sender can still send. A receiver that has less than `floor - 1` has lost a range for good. */
  floor: z.int().min(1),
  events: z.array(z.unknown()).min(1).max(1000),
});
export type EventBatch = z.infer<typeof EventBatch>;

/**
 * Sent after the synced write, never before. `booked`: it counts. `refused`: it is in the book with the reason why it
 * does not count. `quarantined`: it could not be trusted; its bytes are kept apart and the book says so. Each of the
 * three frees the sender's outbox; a duplicate gets its original receipt again.
 */
export const Receipt = z.strictObject({
  id: z.string().max(64),
  status: z.enum(["booked", "refused", "quarantined"]),
  book: BookName,
  seq: Count,
  /** Leaf hash of the record (RFC 9162 §2.1.1). */
  leaf: Sha256Hex,
  code: ErrorCode.optional(),
});
export type Receipt = z.infer<typeof Receipt>;

/** Travels on `…/receipts/<book>`. `resend`: the receiver lacks what comes before; send from this dseq on. */
export const ReceiptBatch = z.strictObject({
  v: z.literal(1),
  epoch: z.string(),
  receipts: z.array(Receipt),
  resend: z.strictObject({ from: z.int().min(1) }).optional(),
});
export type ReceiptBatch = z.infer<typeof ReceiptBatch>;
