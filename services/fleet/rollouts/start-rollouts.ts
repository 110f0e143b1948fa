import type { Issuer } from "../../../lib/contracts/commands.ts";
import type { Principals } from "../../../lib/messaging/principals.ts";
import type { After } from "../../../lib/messaging/timing.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { Outbox } from "../../../lib/storage/outbox/outbox.ts";
import { pruneRegularly } from "../../../lib/storage/prune-regularly.ts";
import type { Store } from "../../../lib/storage/store/store.ts";
import type { Asked } from "../commands/issue-command.ts";
import type { CommandsInside } from "../commands/start-commands.ts";
import { createRolloutHandlers, type RolloutHandlers } from "./rollout-handlers.ts";
import { type AskedRollout, lastStep, type Part, type RolloutRecord } from "./rollout-record.ts";
import { openRolloutStore } from "./rollout-store.ts";
import { type CommandPort, createRunner } from "./runner.ts";

/** How long a rollout that is over is kept to be shown, as its commands are. */
const KEPT_MS = 30 * 24 * 3_600_000;

export type Rollouts = { handlers: RolloutHandlers; close(): void };

/** Opens the rollouts that are under way and goes on with them. */
export async function startRollouts(o: {
  store: Store;
  outbox: Outbox;
  commands: CommandsInside;
  names: Pick<Principals, "bySub" | "all">;
  newId: () => string;
  now: () => number;
  tz: string;
  after: After;
  log: Logger;
}): Promise<Rollouts> {
  const { store, outbox, newId, now, tz, after, log } = o;
  const { issuing } = o.commands;
  const rollouts = openRolloutStore({ store, outbox, newId, now, tz });
  const commands = portOf(o.commands);
  const runner = createRunner({ rollouts, commands, newId, now, after, log });

  function goOn(id: string): void {
    runner.advance(id).catch((error: unknown) => log.error({ err: error, id }, "a rollout could not go on"));
  }
  o.commands.onEnded(goOn);
  for (const record of await rollouts.underWay()) {
    if (lastStep(record).state === "running") goOn(record.asked.id);
    else runner.watchApproval(record);
  }
  const stopPruning = pruneRegularly({
    kept: { prune: () => rollouts.prune(KEPT_MS) },
    onFault: (error) => log.error({ err: error }, "putting rollouts away failed"),
  });

  return {
    handlers: createRolloutHandlers({
      rollouts,
      runner,
      commands,
      needsApproval: issuing.needsApproval,
      checkCommand: (asked, issuer) => void issuing.make(askedOf(asked, firstOf(asked)), issuer),
      names: o.names,
      now,
    }),
    close() {
      stopPruning();
      runner.close();
    },
  };
}

function portOf({ commands, issuing, submit }: CommandsInside): CommandPort {
  return {
    find: commands.find,
    async issue({ asked, issuer, approvals }: RolloutRecord, part: Part) {
      await submit(issuing.make(askedOf(asked, part), issuer, { approvals, rollout: asked.id }));
    },
    async recall(id: string, by: Issuer | null) {
      await commands.advance(id, { kind: "cancelled", by });
    },
  };
}

function askedOf(
  { name, args, validMs, approvalMs, timeoutMs }: AskedRollout,
  part: Pick<Part, "machine" | "command">,
): Asked {
  return { id: part.command, machine: part.machine, name, args, validMs, approvalMs, timeoutMs };
}

function firstOf(asked: AskedRollout): Pick<Part, "machine" | "command"> {
  return { machine: asked.machines[0] ?? "", command: asked.id };
}
