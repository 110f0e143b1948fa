import { z } from "zod";
import { BackupName, HUB_STORES } from "./backup.ts";
import { Base64, Instant, PersonId, plainText, Segment } from "./names.ts";

/** What a name in the directory may do. `machine` and `service` are not given to people. */
export const PROFILES = [
  "operator",
  "supervisor",
  "coordinator",
  "analyst",
  "administrator",
  "inspector",
  "scada",
  "machine",
  "service",
] as const;
export const Profile = z.enum(PROFILES);
export type Profile = z.infer<typeof Profile>;

/** The profiles that a person can have. `inspector` reads for MQTT Explorer, `scada` reads at full rate. */
export const PersonProfile = z.enum([
  "operator",
  "supervisor",
  "coordinator",
  "analyst",
  "administrator",
  "inspector",
  "scada",
]);
export type PersonProfile = z.infer<typeof PersonProfile>;

/** Names of the services of a plant; reserved in the one namespace of people, machines and services. */
export const SERVICE_NAMES = ["broker", "directory", "production", "audit", "fleet", "console", "standby"] as const;
export const ServiceName = z.enum(SERVICE_NAMES);
export type ServiceName = z.infer<typeof ServiceName>;

/** A standby keeps the plant's books on another computer: it has its key there, and is registered when it joins. */
export const STANDBY = "standby" satisfies ServiceName;

/** The services whose keys lie on the hub and are registered by its first start. */
export const HUB_SERVICES: readonly ServiceName[] = SERVICE_NAMES.filter((name) => name !== STANDBY);

/** The name of whoever holds the hub's local key. Reserved as well. */
export const LOCAL_ADMIN = "local-admin";

/** What services know of a name: pushed, retained, on `directory/principals/<name>`, signed by the directory. */
export const Principal = z.strictObject({
  v: z.literal(1),
  name: Segment,
  kind: z.enum(["person", "machine", "service"]),
  profile: Profile,
  /** What stands for the name in records: a person's random id, else the name itself. */
  sub: z.union([PersonId, Segment]),
  active: z.boolean(),
  /** Raw Ed25519 public key; null for people and for machines with a secret. */
  publicKey: Base64.nullable(),
  /** `none`: a machine that never signs in; others speak for it. */
  credential: z.enum(["password", "key", "secret", "local", "none"]),
  /** Machines for which this one may report, itself always included; empty for people and services. */
  speaksFor: z.array(Segment),
  registeredAt: Instant,
});
export type Principal = z.infer<typeof Principal>;

/** `body` is the canonical JSON of a {@link Principal}; `sig` the directory's Ed25519 signature over its UTF-8 bytes. */
export const SignedPrincipal = z.strictObject({ body: z.string(), sig: Base64 });

/** The shortest password, in characters. */
export const PASSWORD_MINIMUM = 8;
export const Password = z
  .string()
  .refine((text) => Array.from(text).length >= PASSWORD_MINIMUM, {
    error: `a password of at least ${PASSWORD_MINIMUM} characters`,
    params: { code: "weak_password" },
  })
  .refine((text) => text.length <= 256, "at most 256 characters");

/** The program that signs in. It stands in records for ever, and has no room for a person's words. */
const AppName = z.string().regex(/^[\w.@+-]{1,64}$/, "the name of a program, such as rastro-cli@0.1.0");

/** `POST /directory/sessions`: with a password, or with the hub's local key from loopback. */
export const SignInRequest = z.union([
  z.strictObject({ user: Segment, password: z.string().max(256), app: AppName }),
  z.strictObject({ localKey: z.string().max(128), app: AppName }),
]);
/** The token is the MQTT password from now on, the user name stays the user's. */
export const Session = z.object({
  token: z.string(),
  session: Segment,
  user: Segment,
  profile: Profile,
  expiresAt: Instant,
});
export type Session = z.infer<typeof Session>;

/** `GET /directory/sessions/current`: whose session it is that asks. `sub` stands for the person in records. */
export const SessionOwner = z.object({
  session: Segment,
  user: Segment,
  sub: z.union([PersonId, Segment]),
  profile: Profile,
});
export type SessionOwner = z.infer<typeof SessionOwner>;

/** `GET /directory/open-sessions`: all for administrators, else one's own; `?user=<name>` only those of one person. */
export const SessionRow = z.object({
  /** Null for connections that signed in to MQTT with the password itself, without a session. */
  session: Segment.nullable(),
  user: Segment,
  profile: Profile,
  app: z.string().nullable(),
  auth: z.enum(["session", "local", "password"]),
  since: Instant,
  lastSeen: Instant,
  /** When it ends even if it is used. */
  expiresAt: Instant.nullable(),
  /** From where it is connected, else from where it was last used since the hub started. */
  addresses: z.array(z.string()),
  /** Client ids of its open MQTT connections. */
  clients: z.array(z.string()),
  connected: z.boolean(),
  /** Whether it is the one that asks. */
  current: z.boolean(),
});
export type SessionRow = z.infer<typeof SessionRow>;

/** `POST /directory/open-sessions/end`: one session, all of a person, or all of one's own but the one that asks. */
export const SessionEndRequest = z.union([
  z.strictObject({ session: Segment }),
  z.strictObject({ user: Segment }),
  z.strictObject({ mineOthers: z.literal(true) }),
]);
/** `sessions` ended, and besides them `connections` that had signed in with the password itself. */
export const SessionsEnded = z.object({ sessions: z.array(Segment), connections: z.int() });

/** `POST /directory/setup`: makes the first administrator with the one-time code of the first start. */
export const SetupRequest = z.strictObject({ code: z.string().max(64), user: Segment, password: Password });

/** `POST /directory/users`. */
export const UserAddRequest = z.strictObject({
  name: Segment,
  profile: PersonProfile,
  password: Password,
  fullName: plainText(128).nullable().default(null),
  badge: plainText(64).nullable().default(null),
});
export const UserRow = z.object({
  name: Segment,
  profile: Profile,
  fullName: z.string().nullable(),
  badge: z.string().nullable(),
  active: z.boolean(),
  registeredAt: Instant,
});
export type UserRow = z.infer<typeof UserRow>;

/** `PUT /directory/users/<name>/active`: locks a person out, or takes the lock and counted failures away. */
export const UserActiveRequest = z.strictObject({ active: z.boolean() });
/** `PUT /directory/users/<name>/profile`. */
export const UserProfileRequest = z.strictObject({ profile: PersonProfile });

/** `PUT /directory/users/<name>/password`: one's own with the old password, another's as administrator. */
export const PasswordRequest = z.strictObject({ password: Password, current: z.string().max(256).optional() });

/** Machines for which one may report, itself left out or not. */
const SpeaksFor = z.array(Segment).max(1000, "at most 1000 machines");

/**
 * `POST /directory/machines`: with a public key, else a secret is made and shown this once. One with `signsIn` false
 * gets neither: it has a name, so that entries can be made for it, and no way in.
 */
export const MachineAddRequest = z
  .strictObject({
    id: Segment,
    publicKey: Base64.nullable().default(null),
    signsIn: z.boolean().default(true),
    speaksFor: SpeaksFor.default([]),
  })
  .refine((machine) => machine.signsIn || machine.publicKey === null, {
    path: ["publicKey"],
    error: "no key for a machine that never signs in",
  });
export const MachineAdded = z.object({ id: Segment, secret: z.string().nullable() });

/** `PUT /directory/machines/<id>/active`: revokes a machine, or lets it in again, with another key if one is given. */
export const MachineActiveRequest = z.union([
  z.strictObject({ active: z.literal(false) }),
  z.strictObject({ active: z.literal(true), publicKey: Base64.nullable().default(null) }),
]);

/** `PUT /directory/services/standby/key`: registers a standby, or another key for it; `DELETE` revokes it. Raw Ed25519 public key. */
export const ServiceKeyRequest = z.strictObject({ publicKey: Base64 });

/** `PUT /directory/machines/<id>/speaks-for`: the whole list, which takes the place of the one before. */
export const SpeaksForRequest = z.strictObject({ speaksFor: SpeaksFor });
/** Sorted, and always with the machine itself. */
export const SpeaksForSet = z.object({ id: Segment, speaksFor: z.array(Segment) });

/** `GET /directory/time`: what an agent asks before it signs a token, since its own clock may be off. */
export const HubTime = z.object({ now: Instant, plant: z.string() });

/** `GET /directory/people/<sub>/key`, for services: the AES-256 key of a person, or of the local administrator, and the login to show. */
export const PersonKey = z.object({ sub: z.union([PersonId, z.literal(LOCAL_ADMIN)]), key: Base64, name: Segment });

/** `POST /directory/certificates`: a client certificate for a registered name. `publicKey`: SubjectPublicKeyInfo, P-256. */
export const CertificateRequest = z.strictObject({
  name: Segment,
  publicKey: Base64,
  days: z.int().min(1).max(825),
});
/** `certificate` and `authority` are PEM. */
export const CertificateIssued = z.object({
  certificate: z.string(),
  authority: z.string(),
  serial: z.string(),
  notAfter: Instant,
});

/** `POST /directory/backups`: backs up one of the hub's stores. `GET` lists the backups of all of them. */
export const BackupRequest = z.strictObject({ store: z.enum(HUB_STORES) });
/** `POST /directory/backups/verify`. */
export const BackupVerifyRequest = z.strictObject({ store: z.enum(HUB_STORES), name: BackupName });
