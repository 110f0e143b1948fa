import { z } from "zod";
import { APPROVAL_MAXIMUM_MS, CommandArgs, CommandName, TIMEOUT_MAXIMUM_MS, VALID_MAXIMUM_MS } from "../commands.ts";
import { Segment, Uuid7 } from "../names.ts";
import { ROLLOUT_MACHINES_MAXIMUM, RolloutRow, RolloutView } from "../rollouts.ts";
import { ById, CORRECTORS, type Operation, READERS } from "./operation.ts";

/** One command to many machines, wave after wave. */
export const rolloutOperations = {
  "rollout-begin": {
    profiles: CORRECTORS,
    /** `id` is made by whoever asks, so that asking again begins once. */
    request: z.strictObject({
      id: Uuid7,
      name: CommandName,
      args: CommandArgs.default({}),
      /** In this order, each once; null for all that are registered and sign in. */
      machines: z
        .array(Segment)
        .min(1)
        .max(ROLLOUT_MACHINES_MAXIMUM)
        .refine((ids) => new Set(ids).size === ids.length, "each machine once")
        .nullable()
        .default(null),
      /** Machines at once; the next wave begins when none of them has anything to come. */
      waveSize: z.int().min(1).max(100).default(5),
      /** After so many failures nothing more is sent. */
      stopAfter: z.int().min(1).max(ROLLOUT_MACHINES_MAXIMUM).default(1),
      /** As in command-send, for each command; approvalMs for the whole. */
      validMs: z.int().min(1000).max(VALID_MAXIMUM_MS).default(60_000),
      approvalMs: z.int().min(1000).max(APPROVAL_MAXIMUM_MS).default(900_000),
      timeoutMs: z.int().min(100).max(TIMEOUT_MAXIMUM_MS).nullable().default(null),
    }),
    response: RolloutView,
  },
  "rollout-approve": { profiles: CORRECTORS, request: ById, response: RolloutView },
  /** No further wave; what no machine has acknowledged is called back. */
  "rollout-cancel": { profiles: CORRECTORS, request: ById, response: RolloutView },
  "rollout-show": { profiles: READERS, request: ById, response: RolloutView },
  "rollout-list": {
    profiles: READERS,
    /** Newest first. */
    request: z.strictObject({
      limit: z.int().min(1).max(100).default(20),
      after: Uuid7.nullable().default(null),
    }),
    response: z.object({ rollouts: z.array(RolloutRow), next: Uuid7.nullable() }),
  },
} as const satisfies Record<string, Operation>;
