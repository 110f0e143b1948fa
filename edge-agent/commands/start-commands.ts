import type { KeyObject } from "node:crypto";
import { COMMAND_NAMES } from "../../lib/contracts/commands.ts";
import type { EventDraft } from "../../lib/contracts/events.ts";
import { filters } from "../../lib/contracts/topics.ts";
import type { MessageHandler } from "../../lib/messaging/subscriptions.ts";
import { after } from "../../lib/messaging/timing.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import { createRefusals } from "../../lib/runtime/refusals.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import type { HubTime } from "../link/hub-time.ts";
import type { Moment } from "../own-events.ts";
import { createAdmission } from "./admit-command.ts";
import { type AnswerPort, createAnswers } from "./answers.ts";
import { commandExecuted, commandRefused } from "./command-events.ts";
import { createExecute } from "./execute.ts";
import { createExecutors } from "./executors.ts";
import { createJournal, type Journal } from "./journal.ts";
import { createReceiver } from "./receiver.ts";

/** A stop does not wait longer for an execution, ms; what is cut off is answered at the next start. */
const LAST_MS = 1000;

export type CommandOptions = {
  machine: string;
  key: KeyObject | null;
  link: AnswerPort & { subscribe(filter: string, handler: MessageHandler): Promise<void> };
  store: Store;
  /** The outbox to the audit book. */
  acts: Pick<Outbox, "stage">;
  hubTime: HubTime;
  /** Id, time and clock of an event that happens now. */
  moment: () => Moment;
  now: () => number;
  clock: () => number;
  log: Logger;
};

export type Commands = {
  journal: Journal;
  /** Lets what is being executed end, if it does so within a second, and puts on record what is still counted. */
  close(): Promise<void>;
};

/**
 * Takes commands from now on. The subscription is registered before it returns, so that a link that is not connected
 * yet has it with its first connection, before the birth is said.
 */
export function startCommands(o: CommandOptions): Commands {
  const { machine, link, store, acts, hubTime, now, clock, log } = o;
  let recorded: Promise<void> = Promise.resolve();
  const record = (draft: EventDraft) => {
    const done = store
      .write((tx) => void acts.stage(tx, draft))
      .catch((err: unknown) => log.error({ err }, "a refused command could not be put on record"));
    recorded = Promise.all([recorded, done]).then(() => undefined);
  };
  const refusals = createRefusals({ emit: (report) => record(commandRefused(machine, report, o.moment())), now });
  const journal = createJournal({
    store,
    tell: (tx, entry, result) => void acts.stage(tx, commandExecuted(machine, entry, result, o.moment())),
    now,
  });
  const receiver = createReceiver({
    machine,
    key: o.key,
    admission: createAdmission({
      allowed: new Set(COMMAND_NAMES),
      hubTime,
      newest: () => journal.newest(),
      now,
      clock,
    }),
    journal,
    answers: createAnswers({ link, machine, now, log }),
    execute: createExecute({ executors: createExecutors({ hubTime, now }), after, log }),
    // Whoever can publish here is the hub: there is no other name to count under.
    onRefused: ({ topic, code }) => refusals.note({ principal: "hub", address: null, code, detail: topic }),
    now,
    log,
  });
  receiver
    .closeCutOff()
    .catch((err: unknown) => log.error({ err }, "commands that a crash cut off could not be looked for"));
  link
    .subscribe(filters.commandsTo(machine), (topic, payload, retained) => receiver.take(topic, payload, retained))
    .catch((err: unknown) => log.error({ err }, "the broker does not let this machine have its commands"));
  return {
    journal,
    async close() {
      await Promise.race([receiver.idle(), new Promise<void>((resolve) => after(LAST_MS, resolve))]);
      refusals.close();
      await recorded;
    },
  };
}
