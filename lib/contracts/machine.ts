import { z } from "zod";
import { Count, Instant, Segment } from "./names.ts";
import { WitnessReport } from "./witness.ts";

/** Machine states by PackML (OPC 30050 / ISA-TR88.00.02), lower case. */
export const PackMlState = z.enum([
  "aborted",
  "aborting",
  "clearing",
  "complete",
  "completing",
  "execute",
  "held",
  "holding",
  "idle",
  "resetting",
  "starting",
  "stopped",
  "stopping",
  "suspended",
  "suspending",
  "unholding",
  "unsuspending",
]);

/** Tenths of a percent: 0 to 1000. Null when it is not known. */
const PerMille = z.int().min(0).max(1000).nullable();

/** `machines/<id>/status`: flat JSON of at most 256 bytes, keys in this order, published each millisecond. */
export const Status = z.strictObject({
  v: z.literal(1),
  /** Counts the ticks since the agent started: a reader that skips sees by how much. */
  seq: Count,
  /** The agent's wall clock, ms since 1970. */
  t: Count,
  state: PackMlState.nullable(),
  cpu: PerMille,
  mem: PerMille,
  disk: PerMille,
  lot: z.string().nullable(),
  good: Count.nullable(),
  scrap: Count.nullable(),
});
export type Status = z.infer<typeof Status>;

/** `machines/<id>/presence`: the agent's birth and will, or the fleet's word after a restart of the hub. */
export const Presence = z.strictObject({
  v: z.literal(1),
  online: z.boolean(),
  since: Instant,
  /**
   * `birth`, `shutdown` and `will` come from the agent. From the fleet come `hub-restart` (decision 28); `revoked`, once
   * the machine is not let in any more; `no-connection`, when the hub has none with it though it never said farewell;
   * `silent`, when nothing comes over the connection that it has, and `heard`, when something comes again.
   */
  why: z.enum(["birth", "shutdown", "will", "hub-restart", "revoked", "no-connection", "silent", "heard"]),
  /** Random per connection: a will of an earlier connection names another one and is corrected by the agent. */
  connection: z.string().min(1).max(64),
  /** Random per start of the agent. */
  boot: z.string().min(1).max(64),
  app: z.string().min(1).max(64),
  /** First 16 hexadecimal digits of SHA-256 over the raw public key; null for a machine without a key. */
  key: z.string().nullable(),
});
export type Presence = z.infer<typeof Presence>;

/** `machines/<id>/summary`: what a person reads, once a second. Unknown is null, never 0. */
export const Summary = z.strictObject({
  v: z.literal(1),
  t: Count,
  app: z.string(),
  host: z.strictObject({ os: z.string(), arch: z.string(), cpus: z.int(), node: z.string() }),
  uptimeS: z.strictObject({ agent: Count, host: Count }),
  status: z.strictObject({
    /** Statuses written in the last second, in thousandths of a hertz, over the measured span. */
    rateMilliHz: Count,
    /** Spacing of consecutive statuses in the last second, µs. */
    gapUs: z.strictObject({ p50: Count, p99: Count, max: Count }),
    /** Statuses that were not sent because the socket had not drained, since start. */
    skipped: Count,
  }),
  outbox: z.array(
    z.strictObject({
      book: z.string(),
      waiting: Count,
      sealed: Count,
      oldest: Instant.nullable(),
      bytes: Count,
      lastError: z.string().nullable(),
    }),
  ),
  clock: z.strictObject({ source: z.enum(["ntp", "none", "unknown"]), offsetMs: z.int().nullable() }),
  memory: z.strictObject({ totalMiB: Count.nullable(), usedMiB: Count.nullable() }),
  disks: z.array(z.strictObject({ mount: z.string(), totalMiB: Count, usedMiB: Count })),
  network: z.array(z.strictObject({ name: z.string(), rxBytesPerS: Count.nullable(), txBytesPerS: Count.nullable() })),
  /** Tenths of a degree Celsius. */
  temperature: z.int().nullable(),
  /** Share of one core that the agent itself used in the last second, tenths of a percent; may pass 1000. */
  agentCpu: Count.nullable(),
  agentRssMiB: Count,
  /** The logs that it witnesses; agents of before have none. */
  witness: z.array(WitnessReport).default([]),
});
export type Summary = z.infer<typeof Summary>;

/** A row of the fleet's register, as `machine list` shows it. */
export const MachineRow = z.object({
  id: Segment,
  online: z.boolean(),
  since: Instant.nullable(),
  why: z.string().nullable(),
  /** Achieved status rate, Hz with three decimals; null while nothing is known. */
  rateHz: z.number().nullable(),
  waiting: Count.nullable(),
  app: z.string().nullable(),
  registeredAt: Instant,
  credential: z.enum(["key", "secret", "none"]),
  speaksFor: z.array(Segment),
  /** From where it is connected, by the hub; empty while it is not, and where the broker does not tell. */
  addresses: z.array(z.string()),
  /** Two agents that say at the same time that they are this machine, by their boot ids, and since when that is known. */
  duplicate: z.object({ boots: z.array(z.string()), since: Instant }).nullable(),
});
export type MachineRow = z.infer<typeof MachineRow>;
