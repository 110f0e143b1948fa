import { z } from "zod";
import { Profile } from "./directory.ts";
import { ErrorCode } from "./errors.ts";
import { ActorAuth } from "./events.ts";
import { Base64, Count, Instant, PersonId, Segment, Uuid7 } from "./names.ts";

/** The longest that a command may wait for its machine, ms: none runs hours late. */
export const VALID_MAXIMUM_MS = 3_600_000;
/** The longest that a command may wait for another person's approval, ms. */
export const APPROVAL_MAXIMUM_MS = 3_600_000;
/** The longest that an execution may take, ms. */
export const TIMEOUT_MAXIMUM_MS = 600_000;
/** What a signed command may have at most, bytes. */
export const COMMAND_MAXIMUM_BYTES = 16_384;
/** What a result's `data` may have at most as canonical JSON, bytes. */
export const RESULT_MAXIMUM_BYTES = 65_536;

const text = (maximum: number) => z.string().max(maximum);
const ShortText = text(128).nullable();

/** What `ping` answers: the machine's own clock, and the hub's less its own in ms; null while the hub has not told. */
export const PingResult = z.strictObject({ time: Instant, offsetMs: z.int().nullable() });

/**
 * What `system-info` answers. Unknown is null, a part that could not be had too. Left out on purpose are serial numbers,
 * UUIDs, MAC and IPv6 addresses (which may hold a MAC), the host's name and logins: they single a device or its user
 * out, and the question "what runs there, and has it room" needs none of them.
 */
export const SystemInfo = z.strictObject({
  system: z
    .strictObject({ manufacturer: ShortText, model: ShortText, version: ShortText, virtual: z.boolean().nullable() })
    .nullable(),
  os: z
    .strictObject({ platform: ShortText, distro: ShortText, release: ShortText, kernel: ShortText, arch: ShortText })
    .nullable(),
  cpu: z
    .strictObject({
      manufacturer: ShortText,
      brand: ShortText,
      cores: Count.nullable(),
      physicalCores: Count.nullable(),
      speedMHz: Count.nullable(),
    })
    .nullable(),
  memory: z.strictObject({ totalMiB: Count, availableMiB: Count, swapTotalMiB: Count, swapUsedMiB: Count }).nullable(),
  /** At most 32. A login within a mount point is replaced by "…". */
  disks: z
    .array(z.strictObject({ mount: text(128), type: ShortText, totalMiB: Count, usedMiB: Count }))
    .max(32)
    .nullable(),
  /** At most 32, without the loopback. */
  network: z
    .array(
      z.strictObject({
        name: text(128),
        type: ShortText,
        up: z.boolean().nullable(),
        ip4: ShortText,
        speedMbit: Count.nullable(),
      }),
    )
    .max(32)
    .nullable(),
});
export type SystemInfo = z.infer<typeof SystemInfo>;

/** `approvals`: how many other persons have to agree before it is signed. */
type CommandSpec = { about: string; timeoutMs: number; approvals: 0 | 1; args: z.ZodType; result: z.ZodType };

/** Every command there is: how long its execution may take unless told, what goes in, what comes out. */
export const COMMANDS = {
  ping: {
    about: "asks the machine for its time and how far it is from the hub's",
    timeoutMs: 5000,
    approvals: 0,
    args: z.strictObject({}),
    result: PingResult,
  },
  "system-info": {
    about: "asks for system, operating system, processor, memory, disks and network",
    timeoutMs: 30_000,
    approvals: 0,
    args: z.strictObject({}),
    result: SystemInfo,
  },
} as const satisfies Record<string, CommandSpec>;

export type CommandName = keyof typeof COMMANDS;
export const COMMAND_NAMES = Object.keys(COMMANDS) as [CommandName, ...CommandName[]];
export const CommandName = z.enum(COMMAND_NAMES);

export type ResultOf<N extends CommandName> = z.output<(typeof COMMANDS)[N]["result"]>;

/** Arguments before the catalogue's own schema has looked at them. */
export const CommandArgs = z.record(text(64), z.json());

/** Who asked for or agreed to a command, by what stands for the name in records. */
export const Issuer = z.strictObject({ sub: z.union([PersonId, Segment]), auth: ActorAuth, profile: Profile });
export type Issuer = z.infer<typeof Issuer>;

/** Who agreed to a command, and when by the hub's clock. */
export const Approval = z.strictObject({ by: Issuer, at: Instant });
export type Approval = z.infer<typeof Approval>;

/**
 * A command as the fleet signs it. `issuedAt` and `notAfter` are by the hub's clock; `notAfter` says until when the
 * machine may take it up, `timeoutMs` how long its execution may take from then on.
 */
export const Command = z.strictObject({
  v: z.literal(1),
  id: Uuid7,
  machine: Segment,
  /** Any name, so that a machine can say of one that it does not know it. */
  name: Segment,
  args: CommandArgs,
  issuedAt: Instant,
  notAfter: Instant,
  timeoutMs: z.int().min(1).max(TIMEOUT_MAXIMUM_MS),
  issuer: Issuer,
  /** Who agreed to it: other persons than the issuer, as many as the catalogue asks for. */
  approvals: z.array(Approval).max(8),
});
export type Command = z.infer<typeof Command>;

/**
 * What travels on `machines/<id>/commands/<name>`, never retained. `body` is the canonical JSON (RFC 8785) of a
 * {@link Command}; `sig` the Ed25519 signature over its UTF-8 bytes by the fleet's command key, which signs nothing else.
 */
export const SignedCommand = z.strictObject({ body: text(COMMAND_MAXIMUM_BYTES), sig: Base64.max(128) });
export type SignedCommand = z.infer<typeof SignedCommand>;

/** `…/ack`: the machine has written the command's id to its disk and begins. */
export const CommandAck = z.strictObject({ v: z.literal(1), id: Uuid7, at: Instant });
export type CommandAck = z.infer<typeof CommandAck>;

/** `…/progress`: so many of so many steps are done. */
export const CommandProgress = z.strictObject({ v: z.literal(1), id: Uuid7, at: Instant, done: Count, of: Count });
export type CommandProgress = z.infer<typeof CommandProgress>;

/**
 * `rejected`: it was not executed. `failed`: it was begun and did not succeed. `unknown-outcome`: it was begun and cut
 * off by a crash, and is never begun again.
 */
export const Outcome = z.enum(["succeeded", "failed", "rejected", "unknown-outcome"]);
export type Outcome = z.infer<typeof Outcome>;

/** `…/result`: the last word of the machine. `data` is there only when it succeeded, `error` only when not. */
export const CommandResult = z.strictObject({
  v: z.literal(1),
  id: Uuid7,
  at: Instant,
  status: Outcome,
  data: z.json().nullable(),
  error: z.strictObject({ code: ErrorCode, message: text(512) }).nullable(),
});
export type CommandResult = z.infer<typeof CommandResult>;

/**
 * Where a command is, in this order: `pending-approval` waits for another person and is not signed yet, `queued` waits for
 * its machine, `sent` was handed to the hub, `acknowledged` is on the machine's disk, `running` has told of progress; then
 * one of the outcomes, or what the fleet concluded: `expired` was not approved or not acknowledged in time, `timed-out`
 * brought no result in its time, `cancelled` was called back before it was acknowledged.
 */
export const CommandState = z.enum([
  "pending-approval",
  "queued",
  "sent",
  "acknowledged",
  "running",
  ...Outcome.options,
  "expired",
  "timed-out",
  "cancelled",
]);
export type CommandState = z.infer<typeof CommandState>;

const OPEN: readonly CommandState[] = ["pending-approval", "queued", "sent", "acknowledged", "running"];

/** Whether something is still to come of a command in this state. */
export function isOpen(state: CommandState): boolean {
  return OPEN.includes(state);
}

/** A row of the fleet's list of commands. `who` is the issuer's login, null when nobody has it any more. */
export const CommandRow = z.object({
  id: Uuid7,
  machine: Segment,
  name: Segment,
  state: CommandState,
  who: z.string().nullable(),
  issuedAt: Instant,
  /** When it came into its state. */
  since: Instant,
});
export type CommandRow = z.infer<typeof CommandRow>;

/** A command with all that is known of it. Times of `history` are by the hub's clock. */
export const CommandView = CommandRow.extend({
  args: CommandArgs,
  /** Until when the machine may take it up; of one that waits for approval, until when it may be approved. */
  notAfter: Instant,
  timeoutMs: Count,
  /** `who` is the login of the person who brought the state about; null where no person did. */
  history: z.array(z.object({ state: CommandState, at: Instant, who: z.string().nullable() })),
  /** The rollout that it belongs to. */
  rollout: Uuid7.nullable(),
  progress: z.object({ done: Count, of: Count }).nullable(),
  result: CommandResult.nullable(),
});
export type CommandView = z.infer<typeof CommandView>;
