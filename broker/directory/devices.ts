import { RastroError } from "../../lib/contracts/errors.ts";
import { fingerprint } from "../../lib/ledger/signature.ts";
import type { By, Drafts } from "./drafts.ts";
import { type MachineRecord, type NameRecord, principalOf, type ServiceRecord } from "./records.ts";
import { type Register, unknownName } from "./register.ts";
import { newSecret, sha256 } from "./secrets.ts";

export type NewMachine = { id: string; publicKey: string | null; speaksFor: readonly string[]; signsIn?: boolean };

/** Machines and services: what signs in with a key or a secret instead of a password. */
export interface Devices {
  /**
   * Without a public key a 256-bit secret is made, returned this once and stored as its hash; none for a machine that
   * never signs in. @throws RastroError `name_taken`, `schema`.
   */
  addMachine(by: By, machine: NewMachine): Promise<{ id: string; secret: string | null }>;
  /**
   * Sets for which machines one may report, itself always included. Setting what is set already changes nothing and
   * tells nothing. @returns the list, sorted. @throws RastroError `unknown_name`.
   */
  setSpeaksFor(by: By, id: string, speaksFor: readonly string[]): Promise<string[]>;
  /** Lets a machine in no more. Does nothing where it is so. @throws RastroError `unknown_name`. */
  revoke(by: By, id: string): Promise<void>;
  /**
   * Lets a revoked machine in again: with `publicKey`, else with the key that it had; one with a secret gets a new one.
   * @throws RastroError `unknown_name`, `schema`.
   */
  readmit(by: By, id: string, publicKey: string | null): Promise<{ id: string; secret: string | null }>;
  /** @param publicKey - raw 32 bytes in base64. @throws RastroError `name_taken`, `schema`. */
  addService(by: By, name: string, publicKey: string): Promise<void>;
  /**
   * Registers a service that keeps its key elsewhere, or another key for it. The same key again changes nothing.
   * @throws RastroError `name_taken`, `schema`.
   */
  admitService(by: By, name: string, publicKey: string): Promise<void>;
  /** Lets such a service in no more. Does nothing where it is so. @throws RastroError `unknown_name`. */
  revokeService(by: By, name: string): Promise<void>;
  /** Registers another key for the same name; a secret is void from then on. @throws RastroError `unknown_name`, `schema`. */
  replaceKey(by: By, name: string, publicKey: string): Promise<void>;
}

export function openDevices(o: {
  register: Register;
  drafts: Drafts;
  now: () => number;
  random: (bytes: number) => Buffer;
}): Devices {
  const base = (name: string) => ({ v: 1, name, active: true, registeredAt: new Date(o.now()).toISOString() }) as const;
  const machine = (id: string): MachineRecord => {
    const record = o.register.get(id);
    if (record?.kind !== "machine") throw unknownName(id);
    return record;
  };
  const addService = async (by: By, name: string, publicKey: string) => {
    const payload = { key: fingerprint(rawKey(publicKey)) };
    const record: ServiceRecord = { ...base(name), kind: "service", publicKey };
    await o.register.add(record, o.drafts("service.added", by, { kind: "service", key: name }, payload));
  };
  const replaceKey = async (by: By, name: string, publicKey: string) => {
    const record = o.register.get(name);
    if (record?.kind !== "machine" && record?.kind !== "service") throw unknownName(name);
    const { kind } = record;
    const payload = { key: fingerprint(rawKey(publicKey)), replaced: true };
    const event = o.drafts(`${kind}.added`, by, { kind, key: name }, payload);
    await o.register.replace(name, (stored) => withKey(stored, publicKey), event);
  };
  return {
    async addMachine(by, { id, publicKey, speaksFor, signsIn = true }) {
      const key = keyIn({ publicKey });
      const secret = publicKey === null && signsIn ? newSecret(o.random) : null;
      const record: MachineRecord = {
        ...base(id),
        kind: "machine",
        publicKey,
        secretHash: secret === null ? null : sha256(secret),
        speaksFor: [...new Set([id, ...speaksFor])],
      };
      const { credential } = principalOf(record);
      const payload = { credential, key, speaksFor: record.speaksFor };
      await o.register.add(record, o.drafts("machine.added", by, { kind: "machine", key: id }, payload));
      return { id, secret };
    },

    async setSpeaksFor(by, id, wanted) {
      const record = machine(id);
      const speaksFor = [...new Set([id, ...wanted])].toSorted();
      if (sameSet(record.speaksFor, speaksFor)) return speaksFor;
      const payload = { before: record.speaksFor, after: speaksFor };
      const event = o.drafts("machine.speaks-for-set", by, { kind: "machine", key: id }, payload);
      await o.register.replace(id, (stored) => (stored.kind === "machine" ? { ...stored, speaksFor } : stored), event);
      return speaksFor;
    },

    async revoke(by, id) {
      const record = machine(id);
      if (!record.active) return;
      const event = o.drafts("machine.revoked", by, { kind: "machine", key: id }, { key: keyIn(record) });
      await o.register.replace(id, (stored) => ({ ...stored, active: false }), event);
    },

    async readmit(by, id, publicKey) {
      const record = machine(id);
      const secret = publicKey === null && record.secretHash !== null ? newSecret(o.random) : null;
      const fresh: Pick<MachineRecord, "publicKey" | "secretHash"> = {
        publicKey: publicKey ?? record.publicKey,
        secretHash: secret === null ? null : sha256(secret),
      };
      const after = { ...record, ...fresh };
      const payload = { credential: principalOf(after).credential, key: keyIn(after) };
      const event = o.drafts("machine.readmitted", by, { kind: "machine", key: id }, payload);
      const change = (stored: NameRecord) =>
        stored.kind === "machine" ? { ...stored, ...fresh, active: true } : stored;
      await o.register.replace(id, change, event);
      return { id, secret };
    },

    addService,
    replaceKey,

    async admitService(by, name, publicKey) {
      const record = o.register.get(name);
      if (record?.kind !== "service") return addService(by, name, publicKey);
      if (record.publicKey !== publicKey || !record.active) await replaceKey(by, name, publicKey);
    },

    async revokeService(by, name) {
      const record = o.register.get(name);
      if (record?.kind !== "service") throw unknownName(name);
      if (!record.active) return;
      const event = o.drafts("service.revoked", by, { kind: "service", key: name }, { key: keyIn(record) });
      await o.register.replace(name, (stored) => ({ ...stored, active: false }), event);
    },
  };
}

/** The fingerprint of a machine's key; null without one. */
function keyIn({ publicKey }: Pick<MachineRecord, "publicKey">): string | null {
  return publicKey === null ? null : fingerprint(rawKey(publicKey));
}

function sameSet(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && new Set([...one, ...other]).size === one.length;
}

function withKey(record: NameRecord, publicKey: string): NameRecord {
  if (record.kind === "machine") return { ...record, publicKey, secretHash: null };
  return record.kind === "service" ? { ...record, publicKey, active: true } : record;
}

function rawKey(publicKey: string): Buffer {
  const raw = Buffer.from(publicKey, "base64");
  if (raw.length === 32) return raw;
  throw new RastroError({
    code: "schema",
    message: `Registering the public key failed: it has ${raw.length} bytes; an Ed25519 public key has 32.`,
    field: "publicKey",
    given: `${raw.length} bytes`,
    expected: "32 bytes in base64",
  });
}
