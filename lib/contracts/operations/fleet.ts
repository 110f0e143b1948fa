import { z } from "zod";
import {
  APPROVAL_MAXIMUM_MS,
  CommandArgs,
  CommandName,
  CommandRow,
  CommandView,
  TIMEOUT_MAXIMUM_MS,
  VALID_MAXIMUM_MS,
} from "../commands.ts";
import { MachineRow } from "../machine.ts";
import { Segment, Uuid7 } from "../names.ts";
import { backupOperations } from "./backup.ts";
import { ById, CORRECTORS, type Operation, READERS } from "./operation.ts";
import { rolloutOperations } from "./rollouts.ts";

/** What the fleet service answers. */
export const fleetOperations = {
  ...backupOperations,
  ...rolloutOperations,
  "machine-list": { profiles: READERS, request: z.strictObject({}), response: z.array(MachineRow) },
  "machine-show": { profiles: READERS, request: z.strictObject({ id: Segment }), response: MachineRow },
  "command-send": {
    profiles: CORRECTORS,
    /** `id` is made by whoever asks, so that asking again issues once. The catalogue's schema looks at `args`. */
    request: z.strictObject({
      id: Uuid7,
      machine: Segment,
      name: CommandName,
      args: CommandArgs.default({}),
      /** How long it may wait for the machine, ms. */
      validMs: z.int().min(1000).max(VALID_MAXIMUM_MS).default(60_000),
      /** How long it may wait for another person, where the catalogue asks for one, ms. */
      approvalMs: z.int().min(1000).max(APPROVAL_MAXIMUM_MS).default(900_000),
      /** How long its execution may take, ms; null for the catalogue's. */
      timeoutMs: z.int().min(100).max(TIMEOUT_MAXIMUM_MS).nullable().default(null),
    }),
    response: CommandView,
  },
  /** By another person than who asked; its time begins then. */
  "command-approve": { profiles: CORRECTORS, request: ById, response: CommandView },
  /** Calls it back while its machine has not acknowledged it; a second person refuses it so. */
  "command-cancel": { profiles: CORRECTORS, request: ById, response: CommandView },
  "command-show": { profiles: READERS, request: ById, response: CommandView },
  "command-list": {
    profiles: READERS,
    /** Newest first. */
    request: z.strictObject({
      machine: Segment.nullable().default(null),
      /** Only those that wait for a second person's approval; all of them on one page. */
      pending: z.boolean().default(false),
      limit: z.int().min(1).max(500).default(50),
      after: Uuid7.nullable().default(null),
    }),
    response: z.object({ commands: z.array(CommandRow), next: Uuid7.nullable() }),
  },
} as const satisfies Record<string, Operation>;
