import { join } from "node:path";
import type { StoreName } from "../contracts/backup.ts";
import type { BookName } from "../contracts/names.ts";

/** Every path below the data folder. Nothing else in the project spells one out. */
export type Folders = ReturnType<typeof foldersOf>;

/** @param data - absolute path of the data folder. */
export function foldersOf(data: string) {
  const keys = join(data, "keys");
  return {
    data,
    plant: join(data, "plant.json"),
    keys,
    /** Secret of the command line on the hub, mode 0600. */
    localAdmin: join(keys, "local-admin"),
    /** By it the hub knows its own console when that names an address in `x-forwarded-for`; mode 0600. */
    consoleForwarding: join(keys, "console-forwarding"),
    /** The plant's certificate authority and the hub's own certificate; keys with mode 0600. */
    authorityKey: join(keys, "tls", "ca.key"),
    authorityCertificate: join(keys, "tls", "ca.crt"),
    hubKey: join(keys, "tls", "hub.key"),
    hubCertificate: join(keys, "tls", "hub.crt"),
    /** Public key of the directory, which signs every principal. */
    directoryPublicKey: join(keys, "directory.pub"),
    /** Signs commands and nothing else; the fleet's other key is its identity. */
    fleetCommandKey: join(keys, "fleet-command.key"),
    /** Public part of {@link fleetCommandKey}, to be carried to machines on other computers. */
    fleetCommandPublicKey: join(keys, "fleet-command.pub"),
    serviceKey: (name: string) => join(keys, "services", `${name}.key`),
    /** The keys of a book's log, mode 0600; and the public one of now, for trust policies and witnesses. */
    logKeys: (book: BookName) => join(keys, "books", `${book}.json`),
    logPublicKey: (book: BookName) => join(keys, "books", `${book}.pub`),
    broker: join(data, "broker"),
    directory: join(data, "broker", "directory"),
    /** What the hub saw of access, on its way to the audit book. */
    access: join(data, "broker", "access"),
    /** Retained messages, and what the hub keeps for clients that are away. */
    mqttSessions: join(data, "broker", "sessions"),
    /** Keys of people: a store of its own, whose backups are kept apart. */
    peopleKeys: join(data, "broker", "people-keys"),
    /** Who was erased: kept beside the stores and in none of their backups, to be applied again after a restore. */
    erasures: join(data, "broker", "erasures.jsonl"),
    /** Private key whose public part is {@link directoryPublicKey}. */
    directoryKey: join(data, "broker", "directory.key"),
    production: join(data, "production"),
    audit: join(data, "audit"),
    fleet: join(data, "fleet"),
    /** What a standby keeps, on its own computer: its key, what it was given when it joined, and a copy of each book. */
    standby: join(data, "standby"),
    standbyKey: join(data, "standby", "identity.key"),
    /** Where the plant is and by which keys its logs are known. */
    standbyJoined: join(data, "standby", "joined.json"),
    /** The plant's authority as it was given when it joined: by it alone the hub is known over TLS. */
    standbyAuthority: join(data, "standby", "ca.crt"),
    /** Who has to have cosigned before a checkpoint counts (C2SP tlog-policy); none where the file is not there. */
    standbyPolicy: join(data, "standby", "policy"),
    mirrorStore: (book: BookName) => join(data, "standby", book, "store"),
    /** What copies were before they began again; apart from the backups of a plant's own stores. */
    mirrorBackups: (book: BookName) => join(data, "standby", book, "backups"),
    /** What a book that was put here from a standby has to record at its next start. */
    promotion: (book: BookName) => join(data, book, "promotion.json"),
    /** The store of a book. The head note lies beside it: putting an old copy of the store back must not bring its note along. */
    bookStore: (book: BookName) => join(data, book, "store"),
    /** A repaired copy of a store that cannot be opened any more: read in its place, never written. */
    repairedStore: (book: BookName) => join(data, book, "store-repaired"),
    /** Whom to trust of this plant (C2SP tlog-policy): to be kept elsewhere too. */
    trustPolicy: join(data, "audit", "tlog-policy"),
    headNote: (book: BookName) => join(data, book, "head.note"),
    agents: join(data, "agents"),
    agent: (machine: string) => join(data, "agents", machine),
    agentKey: (machine: string) => join(data, "agents", machine, "identity.key"),
    /** Whoever can read it may hand in entries at the agent's door; mode 0600. */
    doorKey: (machine: string) => join(data, "agents", machine, "door.key"),
    /** By what people sign in at the station while the hub is out of reach; mode 0600. */
    stationVerifiers: (machine: string) => join(data, "agents", machine, "station.json"),
    /** The fleet's command key as this agent was given it when it joined: the only one that it obeys. */
    agentPinnedFleetKey: (machine: string) => join(data, "agents", machine, "fleet-command.pub"),
    /** The plant's authority as this agent was given it when it joined: by it alone it knows the hub over TLS. */
    agentPinnedAuthority: (machine: string) => join(data, "agents", machine, "ca.crt"),
    /** By it this machine cosigns checkpoints, and nothing else; mode 0600. */
    agentWitnessKey: (machine: string) => join(data, "agents", machine, "witness.key"),
    /** Public part of {@link agentWitnessKey}, as one line with its name. */
    agentWitnessPublicKey: (machine: string) => join(data, "agents", machine, "witness.pub"),
    /** The keys of the logs that this machine witnesses, as it was given them when it joined: a vkey a line. */
    agentWitnessedLogs: (machine: string) => join(data, "agents", machine, "witnessed-logs"),
    /** What it has cosigned, and its alarms. */
    agentWitness: (machine: string) => join(data, "agents", machine, "witness"),
    agentOutbox: (machine: string) => join(data, "agents", machine, "outbox"),
    /** Backups, unless the settings name another folder. */
    backups: join(data, "backups"),
    /** What a restore left for the service of a store to put on record at its next start. */
    restoredMark: (store: StoreName) => join(data, "restored", `${store}.json`),
    /** What a restore found in place and moved out of the way. */
    aside: (store: StoreName, at: number) =>
      join(data, "aside", `${store}-${new Date(at).toISOString().replaceAll(/[-:.]/g, "")}`),
    run: join(data, "run"),
    /** Held by the stack as long as it runs, so that a second one on the same folder is told so. */
    stackLock: join(data, "run", "stack.lock"),
    runFile: (name: string) => join(data, "run", `${name}.json`),
  } as const;
}
