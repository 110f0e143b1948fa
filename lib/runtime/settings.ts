import { hostname } from "node:os";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import { z } from "zod";
import { LOCAL_ADMIN, Password, SERVICE_NAMES } from "../contracts/directory.ts";
import { ConnectionLimitsText, type GivenConnectionLimits } from "../contracts/connection-limits.ts";
import { type QuorumRule, QuorumText } from "../contracts/quorum.ts";
import { Segment } from "../contracts/names.ts";
import { foldersOf } from "./folders.ts";
import { type Environment, port, readVariables, whole } from "./variables.ts";
import { type ViewRates, ViewRatesText } from "../contracts/view-rates.ts";

/** What a process was told by its environment, checked. Ports of 0 ask the system for a free one. */
export type Settings = {
  /** Absolute path of the data folder. */
  data: string;
  /** Where the plain ports listen: loopback, unless plain text is allowed everywhere. */
  host: string;
  /** Where MQTT over TLS listens. */
  tlsHost: string;
  /** 0 asks for any free port. */
  mqttsPort: number;
  /** Names and addresses that the hub's certificate has besides this host's own. */
  tlsNames: string[];
  /** Path of the authority's certificate by which clients know the broker; null for the one that they have pinned. */
  ca: string | null;
  mqttPort: number;
  wsPort: number;
  httpPort: number;
  /** The longest MQTT packet that the hub takes in, bytes. */
  maxPacketBytes: number;
  /** Whether the hub carries statuses over its lane beside Aedes. */
  statusLane: boolean;
  /** How often the hub sends who looks at statuses the newest. */
  viewRates: ViewRates;
  /** How many connections the hub takes at once; what is left out has presets. */
  connectionLimits: GivenConnectionLimits;
  /** A session that is not used for so long has ended, ms. */
  sessionIdleMs: number;
  /** A session ends so long after the sign-in, however much it is used, ms. */
  sessionMaxMs: number;
  /** Free bytes of the data folder's disk below which an alarm is raised, and below which the hub is not ready. */
  diskAlarmBytes: number;
  diskFloorBytes: number;
  /** What audit may be behind before an alarm is raised: the age of the oldest event in ms, and events. */
  auditLagMs: number;
  auditLagEvents: number;
  /** What the hub keeps for an MQTT client with a persistent session that is away. */
  queueLimits: { messages: number; bytes: number; ageMs: number; expiryMs: number };
  /** Port of this process's own health server. */
  healthPort: number;
  brokerUrl: string;
  /** True when the environment names a broker: the embedded one is not to be started. */
  externalBroker: boolean;
  /** Password of the first administrator; null when a one-time code is to be made. */
  adminPassword: string | null;
  /** Id of this machine's own agent. */
  machine: string;
  /** The station of this machine: its port on loopback, and how long after a sign-in at the hub one may sign in without it. */
  station: { port: number; offlineMs: number };
  /** Stands for the id of this computer; null for the one that the system has. */
  hostId: string | null;
  /** How a plant has its books witnessed; `automatic` lets machines' agents in by their own offer. Time in ms. */
  witnesses: { automatic: boolean; rule: QuorumRule; quorumMs: number };
  /** IANA time zone of the place. */
  tz: string;
  /** When books are verified: whole at a wall time in `tz` ("02:00"), what is new at a minute of each hour; null for never. */
  verify: { at: string | null; minute: number | null };
  backups: {
    /** Where backups go, one folder a store; those of the keys of people to a folder of their own. Absolute paths. */
    folder: string;
    keysFolder: string;
    /** Wall time in `tz` at which every store is backed up each day; null for never. */
    at: string | null;
    /** How many of a store are kept, how long, and how long those of the keys of people. */
    count: number;
    ageMs: number;
    keysAgeMs: number;
  };
  logLevel: z.infer<typeof LogLevel>;
};

const LogLevel = z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]);
const RESERVED: readonly string[] = [...SERVICE_NAMES, LOCAL_ADMIN];
const HOST_NAME = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?)+$/;
const LOOPBACK = /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/;

/** What our own batches of events need, and what MQTT can say (MQTT 3.1.1 §2.2.3). */
const SMALLEST_PACKET_BOUND = 128 * 1024;
const LARGEST_PACKET = 268_435_455;
const PACKET_BOUND = `bytes from ${SMALLEST_PACKET_BOUND} to ${LARGEST_PACKET}`;

const HOUR = 60 * 60_000;
const MIB = 1024 * 1024;
const timeOrOff = z.string().regex(/^(?:off|(?:[01]\d|2[0-3]):[0-5]\d)$/, "a time of day from 00:00 to 23:59, or off");

const Variables = z.object({
  RASTRO_DATA: z.string().default("./data"),
  RASTRO_HOST: z.string().refine(isHost, "an address such as 127.0.0.1 or 0.0.0.0, or localhost").default("127.0.0.1"),
  RASTRO_PLAINTEXT: z.enum(["loopback", "everywhere"]).default("loopback"),
  RASTRO_MQTTS_PORT: port(8883),
  RASTRO_TLS_NAMES: z
    .string()
    .transform((text) =>
      text
        .split(",")
        .map((name) => name.trim().toLowerCase())
        .filter((name) => name !== ""),
    )
    .refine(
      (names) => names.every((name) => isIP(name) > 0 || HOST_NAME.test(name)),
      "names or addresses, with commas between",
    )
    .prefault(""),
  RASTRO_CA: z.string().optional(),
  RASTRO_MQTT_PORT: port(1883),
  RASTRO_WS_PORT: port(8083),
  RASTRO_HTTP_PORT: port(8080),
  RASTRO_MAX_PACKET_BYTES: z
    .string()
    .regex(/^\d{5,9}$/, PACKET_BOUND)
    .transform(Number)
    .refine((value) => value >= SMALLEST_PACKET_BOUND && value <= LARGEST_PACKET, PACKET_BOUND)
    .default(256 * 1024),
  RASTRO_STATUS_LANE: z.enum(["on", "off"]).default("on"),
  RASTRO_VIEW_RATES: ViewRatesText.prefault(""),
  RASTRO_MAX_CONNECTIONS: ConnectionLimitsText.prefault(""),
  RASTRO_SESSION_IDLE_HOURS: whole("hours", 1, 8760).default(12),
  RASTRO_SESSION_MAX_DAYS: whole("days", 1, 3650).default(30),
  RASTRO_DISK_ALARM_MIB: whole("MiB", 1, 999_999_999).default(2048),
  RASTRO_DISK_FLOOR_MIB: whole("MiB", 1, 999_999_999).default(256),
  RASTRO_AUDIT_LAG_SECONDS: whole("seconds", 1, 999_999_999).default(60),
  RASTRO_AUDIT_LAG_EVENTS: whole("events", 1, 999_999_999).default(10_000),
  RASTRO_QUEUE_MAX_MESSAGES: whole("messages", 1, 10_000_000).default(10_000),
  RASTRO_QUEUE_MAX_MB: whole("megabytes", 1, 65_536).default(16),
  RASTRO_QUEUE_MAX_HOURS: whole("hours", 1, 87_600).default(168),
  RASTRO_QUEUE_EXPIRY_HOURS: whole("hours", 1, 87_600).default(168),
  RASTRO_HEALTH_PORT: port(0),
  RASTRO_BROKER_URL: z
    .string()
    .refine(isBrokerUrl, "mqtt://host:port, mqtts://, ws:// or wss://, without a user name")
    .optional(),
  RASTRO_ADMIN_PASSWORD: Password.optional(),
  RASTRO_MACHINE: Segment.refine((id) => !RESERVED.includes(id), "a name that is not a service's own").optional(),
  RASTRO_STATION_PORT: port(7070),
  RASTRO_STATION_OFFLINE_DAYS: whole("days", 0, 365).default(7),
  RASTRO_WITNESS_ADMIT: z.enum(["offered", "by-hand"]).default("offered"),
  RASTRO_WITNESS_QUORUM: QuorumText.prefault("majority"),
  RASTRO_WITNESS_QUORUM_SECONDS: whole("seconds", 1, 86_400).default(60),
  RASTRO_HOST_ID: z.string().max(128, "at most 128 characters").optional(),
  RASTRO_TZ: z.string().refine(isTimeZone, "an IANA time zone such as America/Sao_Paulo").optional(),
  RASTRO_VERIFY_AT: timeOrOff.default("02:00"),
  RASTRO_VERIFY_MINUTE: z
    .string()
    .regex(/^(?:off|[0-5]?\d)$/, "a minute from 0 to 59, or off")
    .default("17"),
  RASTRO_BACKUP_AT: timeOrOff.default("01:00"),
  RASTRO_BACKUP_FOLDER: z.string().optional(),
  RASTRO_BACKUP_KEYS_FOLDER: z.string().optional(),
  RASTRO_BACKUP_KEEP: whole("backups", 1, 10_000).default(30),
  RASTRO_BACKUP_KEEP_DAYS: whole("days", 1, 36_500).default(90),
  RASTRO_BACKUP_KEYS_KEEP_DAYS: whole("days", 1, 36_500).default(14),
  RASTRO_LOG_LEVEL: LogLevel.default("info"),
});

/**
 * Reads the settings from the environment. A variable that is set but empty counts as not set.
 *
 * @throws RastroError `bad_setting` that names the variable, its value (never a secret one) and what is expected.
 */
export function readSettings(environment: Environment): Settings {
  const variables = readVariables(Variables, environment);
  const open = isLoopback(variables.RASTRO_HOST) || variables.RASTRO_PLAINTEXT === "everywhere";
  const host = open ? variables.RASTRO_HOST : "127.0.0.1";
  return {
    data: resolve(variables.RASTRO_DATA),
    host,
    tlsHost: variables.RASTRO_HOST,
    mqttsPort: variables.RASTRO_MQTTS_PORT,
    tlsNames: variables.RASTRO_TLS_NAMES,
    ca: variables.RASTRO_CA === undefined ? null : resolve(variables.RASTRO_CA),
    mqttPort: variables.RASTRO_MQTT_PORT,
    wsPort: variables.RASTRO_WS_PORT,
    httpPort: variables.RASTRO_HTTP_PORT,
    maxPacketBytes: variables.RASTRO_MAX_PACKET_BYTES,
    statusLane: variables.RASTRO_STATUS_LANE === "on",
    viewRates: variables.RASTRO_VIEW_RATES,
    connectionLimits: variables.RASTRO_MAX_CONNECTIONS,
    sessionIdleMs: variables.RASTRO_SESSION_IDLE_HOURS * HOUR,
    sessionMaxMs: variables.RASTRO_SESSION_MAX_DAYS * 24 * HOUR,
    diskAlarmBytes: variables.RASTRO_DISK_ALARM_MIB * MIB,
    diskFloorBytes: variables.RASTRO_DISK_FLOOR_MIB * MIB,
    auditLagMs: variables.RASTRO_AUDIT_LAG_SECONDS * 1000,
    auditLagEvents: variables.RASTRO_AUDIT_LAG_EVENTS,
    queueLimits: {
      messages: variables.RASTRO_QUEUE_MAX_MESSAGES,
      bytes: variables.RASTRO_QUEUE_MAX_MB * 1024 * 1024,
      ageMs: variables.RASTRO_QUEUE_MAX_HOURS * HOUR,
      expiryMs: variables.RASTRO_QUEUE_EXPIRY_HOURS * HOUR,
    },
    healthPort: variables.RASTRO_HEALTH_PORT,
    brokerUrl: variables.RASTRO_BROKER_URL ?? localBroker(reachable(host), variables.RASTRO_MQTT_PORT),
    externalBroker: variables.RASTRO_BROKER_URL !== undefined,
    adminPassword: variables.RASTRO_ADMIN_PASSWORD ?? null,
    machine: variables.RASTRO_MACHINE ?? machineFromHost(hostname()),
    station: {
      port: variables.RASTRO_STATION_PORT,
      offlineMs: variables.RASTRO_STATION_OFFLINE_DAYS * 24 * HOUR,
    },
    hostId: variables.RASTRO_HOST_ID ?? null,
    witnesses: {
      automatic: variables.RASTRO_WITNESS_ADMIT === "offered",
      rule: variables.RASTRO_WITNESS_QUORUM,
      quorumMs: variables.RASTRO_WITNESS_QUORUM_SECONDS * 1000,
    },
    tz: variables.RASTRO_TZ ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    verify: {
      at: unlessOff(variables.RASTRO_VERIFY_AT),
      minute: variables.RASTRO_VERIFY_MINUTE === "off" ? null : Number(variables.RASTRO_VERIFY_MINUTE),
    },
    backups: backupsOf(variables),
    logLevel: variables.RASTRO_LOG_LEVEL,
  };
}

function unlessOff(text: string): string | null {
  return text === "off" ? null : text;
}

function backupsOf(variables: z.infer<typeof Variables>): Settings["backups"] {
  const folder = resolve(variables.RASTRO_BACKUP_FOLDER ?? foldersOf(resolve(variables.RASTRO_DATA)).backups);
  return {
    folder,
    keysFolder: resolve(variables.RASTRO_BACKUP_KEYS_FOLDER ?? join(folder, "people-keys")),
    at: unlessOff(variables.RASTRO_BACKUP_AT),
    count: variables.RASTRO_BACKUP_KEEP,
    ageMs: variables.RASTRO_BACKUP_KEEP_DAYS * 24 * HOUR,
    keysAgeMs: variables.RASTRO_BACKUP_KEYS_KEEP_DAYS * 24 * HOUR,
  };
}

/** Makes a machine id of a host name: lower case, anything else becomes "-"; a service's own name gets "-pc". */
export function machineFromHost(host: string): string {
  const id = host
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replaceAll(/^-+/g, "")
    .slice(0, 60)
    .replaceAll(/-+$/g, "");
  if (id === "") return "machine";
  return RESERVED.includes(id) ? `${id}-pc` : id;
}

/** An address at which what listens on `host` answers on the same machine. */
export function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

/** Whether what listens there can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

function isHost(text: string): boolean {
  return text === "localhost" || isIP(text) > 0;
}

function localBroker(host: string, mqttPort: number): string {
  return `mqtt://${host.includes(":") ? `[${host}]` : host}:${mqttPort}`;
}

function isBrokerUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return /^(?:mqtts?|wss?):$/.test(url.protocol) && url.hostname !== "" && url.username === "" && url.password === "";
}

function isTimeZone(text: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: text }));
  } catch {
    return false;
  }
}
