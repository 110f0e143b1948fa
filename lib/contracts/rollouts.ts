import { z } from "zod";
import { CommandArgs, CommandState } from "./commands.ts";
import { ErrorCode } from "./errors.ts";
import { Count, Instant, Segment, Uuid7 } from "./names.ts";

/** The most machines that one rollout may name. */
export const ROLLOUT_MACHINES_MAXIMUM = 500;

/**
 * Where a rollout is: `pending-approval` waits for another person, `running` sends wave after wave; then `done` (every
 * machine had its command, whatever came of it), `stopped` (too many failed), `cancelled` by a person, or `expired`: not
 * approved in time, or so old that no further wave may begin.
 */
export const RolloutState = z.enum(["pending-approval", "running", "done", "stopped", "cancelled", "expired"]);
export type RolloutState = z.infer<typeof RolloutState>;

/** What has come of the commands of a rollout so far. */
export const RolloutTally = z.object({
  /** Machines that it names. */
  machines: Count,
  /** Still open. */
  open: Count,
  succeeded: Count,
  /** Failed, rejected, timed out, of unknown outcome, refused by the fleet, or sent and never acknowledged. These stop it. */
  failed: Count,
  /** Not reached, since the machine was away, or called back. */
  unreached: Count,
});
export type RolloutTally = z.infer<typeof RolloutTally>;

/** A row of the list of rollouts; `who` is the login of whoever asked. */
export const RolloutRow = z.object({
  id: Uuid7,
  name: Segment,
  state: RolloutState,
  who: z.string().nullable(),
  askedAt: Instant,
  since: Instant,
  tally: RolloutTally,
});
export type RolloutRow = z.infer<typeof RolloutRow>;

/** A rollout with its waves, in the order in which they began. Times are by the hub's clock. */
export const RolloutView = RolloutRow.extend({
  args: CommandArgs,
  machines: z.array(Segment),
  waveSize: Count,
  stopAfter: Count,
  validMs: Count,
  /** Until when it may be approved; null where nobody has to agree. */
  approveBy: Instant.nullable(),
  history: z.array(z.object({ state: RolloutState, at: Instant, who: z.string().nullable() })),
  waves: z.array(
    z.object({
      at: Instant,
      commands: z.array(
        z.object({
          machine: Segment,
          command: Uuid7,
          /** Null while it is about to be made, and for one that the fleet refused to issue; `refused` says why. */
          state: CommandState.nullable(),
          refused: ErrorCode.nullable(),
        }),
      ),
    }),
  ),
});
export type RolloutView = z.infer<typeof RolloutView>;
