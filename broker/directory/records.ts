import { z } from "zod";
import { LOCAL_ADMIN, PersonProfile, type Principal } from "../../lib/contracts/directory.ts";
import { Sealed } from "../../lib/contracts/events.ts";
import { Base64, Instant, PersonId, Segment, Sha256Hex } from "../../lib/contracts/names.ts";
import { parseJson } from "../../lib/contracts/parse.ts";

/*
 * The directory's own store. Keys are text, values JSON; every value has `v`.
 *   s/n/<name>               a person, machine or service: one key space, so that a name is given once; of a person who was
 *                            erased, the random id stands for the name
 *   s/t/<SHA-256 of token>   a session
 *   s/setup                  the hash of the one-time code, while there is no administrator
 *   oaudit/…                 the outbox (lib/storage)
 */
export const keyOf = {
  name: (name: string) => Buffer.from(`s/n/${name}`),
  session: (tokenHash: string) => Buffer.from(`s/t/${tokenHash}`),
  setup: Buffer.from("s/setup"),
} as const;

/** Ranges of {@link keyOf}; "0" follows "/" in ASCII. */
export const RANGES = {
  names: { gte: Buffer.from("s/n/"), lt: Buffer.from("s/n0") },
  sessions: { gte: Buffer.from("s/t/"), lt: Buffer.from("s/t0") },
} as const;

const common = { v: z.literal(1), name: Segment, active: z.boolean(), registeredAt: Instant };

export const PersonRecord = z.strictObject({
  ...common,
  kind: z.literal("person"),
  /** Stands for the person in every book. */
  sub: PersonId,
  profile: PersonProfile,
  /** argon2id in PHC form. */
  passwordHash: z.string(),
  fullName: Sealed.nullable(),
  badge: Sealed.nullable(),
  /** Id of the `user.added` event: part of what the seals above are bound to. */
  addedBy: z.string(),
});
export type PersonRecord = z.infer<typeof PersonRecord>;

/** A person who was erased: the random id, by which every record knows the person, and that there was one. */
export const ErasedRecord = z.strictObject({
  ...common,
  kind: z.literal("erased"),
  /** The same as `name`. */
  sub: PersonId,
  profile: PersonProfile,
  erasedAt: Instant,
});
export type ErasedRecord = z.infer<typeof ErasedRecord>;

export const MachineRecord = z.strictObject({
  ...common,
  kind: z.literal("machine"),
  publicKey: Base64.nullable(),
  secretHash: Sha256Hex.nullable(),
  speaksFor: z.array(Segment),
});
export type MachineRecord = z.infer<typeof MachineRecord>;

export const ServiceRecord = z.strictObject({ ...common, kind: z.literal("service"), publicKey: Base64 });
export type ServiceRecord = z.infer<typeof ServiceRecord>;

export const NameRecord = z.discriminatedUnion("kind", [PersonRecord, ErasedRecord, MachineRecord, ServiceRecord]);
export type NameRecord = z.infer<typeof NameRecord>;

export const SessionRecord = z.strictObject({
  v: z.literal(1),
  tokenHash: Sha256Hex,
  session: Segment,
  user: Segment,
  app: z.string(),
  auth: z.enum(["session", "local"]),
  createdAt: Instant,
  lastSeen: Instant,
  expiresAt: Instant,
});
export type SessionRecord = z.infer<typeof SessionRecord>;

export const SetupRecord = z.strictObject({ v: z.literal(1), codeHash: Sha256Hex });

export function encode(record: NameRecord | SessionRecord | z.infer<typeof SetupRecord>): Buffer {
  return Buffer.from(JSON.stringify(record));
}

/** @throws RastroError `malformed` or `schema`: the store holds what this version did not write. */
export function decode<S extends z.ZodType>(schema: S, value: Uint8Array): z.infer<S> {
  return parseJson(schema, value, "a record of the directory");
}

/** What services and the hub may know of a record. */
export function principalOf(record: NameRecord): Principal {
  const base = { v: 1, name: record.name, active: record.active, registeredAt: record.registeredAt } as const;
  if (record.kind === "person" || record.kind === "erased") {
    const { profile, sub } = record;
    const credential = record.kind === "person" ? "password" : "none";
    return { ...base, kind: "person", profile, sub, publicKey: null, credential, speaksFor: [] };
  }
  const { kind, name: sub, publicKey } = record;
  const speaksFor = record.kind === "machine" ? record.speaksFor : [];
  return { ...base, kind, profile: kind, sub, publicKey, credential: credentialOf(record), speaksFor };
}

function credentialOf(record: MachineRecord | ServiceRecord): "key" | "secret" | "none" {
  if (record.publicKey !== null) return "key";
  return record.kind === "machine" && record.secretHash === null ? "none" : "secret";
}

/** Whoever holds the hub's local key. In no record, because nobody can change it. */
export function localAdmin(registeredAt: string): Principal {
  return {
    v: 1,
    name: LOCAL_ADMIN,
    kind: "person",
    profile: "administrator",
    sub: LOCAL_ADMIN,
    active: true,
    publicKey: null,
    credential: "local",
    speaksFor: [],
    registeredAt,
  };
}
