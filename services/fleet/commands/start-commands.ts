import { isOpen } from "../../../lib/contracts/commands.ts";
import { RastroError } from "../../../lib/contracts/errors.ts";
import { filters } from "../../../lib/contracts/topics.ts";
import type { Link } from "../../../lib/messaging/link.ts";
import type { Principals } from "../../../lib/messaging/principals.ts";
import type { After } from "../../../lib/messaging/timing.ts";
import type { Logger } from "../../../lib/runtime/log.ts";
import type { RefusedMessage } from "../../../lib/runtime/refusal-event.ts";
import type { Outbox } from "../../../lib/storage/outbox/outbox.ts";
import type { Store } from "../../../lib/storage/store/store.ts";
import type { Register } from "../register.ts";
import { type CommandHandlers, createCommandHandlers } from "./command-handlers.ts";
import { type CommandRecord, type Progress, stepOf } from "./command-record.ts";
import { type CommandStore, openCommandStore } from "./command-store.ts";
import { createDeadlines, type Deadlines } from "./deadlines.ts";
import { createDispatch } from "./dispatch.ts";
import { type ApprovalsOf, createIssuing, type Issuing } from "./issue-command.ts";
import { takeAnswer } from "./machine-answers.ts";
import { createSubmit, type Submit } from "./submit-command.ts";

/** How long a command that ended is kept to be shown; the audit book keeps what happened for good. */
const KEPT_MS = 30 * 24 * 3_600_000;
const PRUNE_EVERY_MS = 6 * 3_600_000;

export type CommandOptions = {
  store: Store;
  outbox: Outbox;
  link: Link;
  register: Pick<Register, "presence" | "online">;
  names: Pick<Principals, "byName" | "bySub">;
  /** Signs with the command key. */
  sign: (bytes: Uint8Array) => string;
  approvalsOf: ApprovalsOf;
  newId: () => string;
  now: () => number;
  tz: string;
  after: After;
  onRefused: (refused: RefusedMessage) => void;
  log: Logger;
};

/** As much as what sends commands of its own takes. */
export type CommandsInside = {
  commands: Pick<CommandStore, "find" | "advance">;
  issuing: Issuing;
  submit: Submit;
  /** Called with the id of a rollout whenever a command of it has ended, on disk. */
  onEnded(listener: (rollout: string) => void): void;
};

export type Commands = {
  handlers: CommandHandlers;
  inside: CommandsInside;
  /** To be told when a machine's presence is on disk: it may have come, or come again. */
  onPresence(machine: string): void;
  close(): void;
};

/** Opens the commands that are under way and goes on with them. Resolves when the broker lets the fleet hear machines. */
export async function startCommands(o: CommandOptions): Promise<Commands> {
  const { store, outbox, link, newId, now, tz, log } = o;
  const opened = await openCommandStore({ store, outbox, newId, now, tz });
  const progress = new Map<string, Progress>();
  const connection = connectionTime(link, now);
  const deadlines = createDeadlines({
    connectedSince: connection.since,
    onSilence: (id) => attempt("ending a command", commands.advance(id, { kind: "silence" })),
    now,
    after: o.after,
  });
  const onEnded: ((rollout: string) => void)[] = [];
  const commands = followed(opened, deadlines, (ended) => {
    progress.delete(ended.command.id);
    if (ended.rollout !== null) for (const listener of onEnded) listener(ended.rollout);
  });
  const dispatch = createDispatch({ link, register: o.register, commands, now, log });

  function attempt(what: string, work: Promise<unknown>): void {
    work.catch((error: unknown) => log.error({ err: error }, `${what} failed`));
  }

  async function take(topic: string, payload: Buffer): Promise<void> {
    try {
      await takeAnswer({ commands, onProgress: (id, at) => noteProgress(id, at) }, topic, payload);
    } catch (thrown) {
      if (!(thrown instanceof RastroError)) throw thrown;
      log.warn({ topic, code: thrown.code }, thrown.message);
      o.onRefused({ topic, from: topic.split("/")[1] ?? "", code: thrown.code });
    }
  }

  function noteProgress(id: string, at: Progress): void {
    if (commands.open().some(({ command }) => command.id === id)) progress.set(id, at);
  }

  await link.subscribe(filters.everyCommandAnswer, take);
  link.onUp(() => {
    connection.rise();
    for (const record of commands.open()) deadlines.follow(record);
    attempt("sending commands", dispatch.toAll());
  });
  link.onDown(() => {
    connection.fall();
    for (const record of commands.open()) deadlines.follow(record);
  });
  const stopPruning = repeatedly(PRUNE_EVERY_MS, () => attempt("putting commands away", commands.prune(KEPT_MS)));

  const issuing = createIssuing({ sign: o.sign, now, approvalsOf: o.approvalsOf });
  const onQueued = (machine: string) => attempt("sending a command", dispatch.toMachine(machine));
  const submit = createSubmit({ commands, byName: o.names.byName, onQueued });

  return {
    inside: { commands, issuing, submit, onEnded: (listener) => void onEnded.push(listener) },
    handlers: createCommandHandlers({
      commands,
      issuing,
      submit,
      onQueued,
      progressOf: (id) => progress.get(id) ?? null,
      names: o.names,
      now,
    }),
    onPresence: (machine) => attempt("sending commands", dispatch.toMachine(machine)),
    close() {
      stopPruning();
      deadlines.close();
    },
  };
}

/** The store, with deadlines that follow whatever changes in it. */
function followed(commands: CommandStore, deadlines: Deadlines, onEnded: (ended: CommandRecord) => void): CommandStore {
  return {
    ...commands,
    async add(made) {
      const added = await commands.add(made);
      if (added !== null) deadlines.follow(added);
      return added;
    },
    async advance(id, happening) {
      const changed = await commands.advance(id, happening);
      if (changed === null) return null;
      if (isOpen(stepOf(changed).state)) {
        deadlines.follow(changed);
      } else {
        deadlines.end(id);
        onEnded(changed);
      }
      return changed;
    },
  };
}

function connectionTime(link: Pick<Link, "connected">, now: () => number) {
  let since: number | null = link.connected ? now() : null;
  return {
    since: () => since,
    rise: () => void (since = now()),
    fall: () => void (since = null),
  };
}

function repeatedly(ms: number, task: () => void): () => void {
  task();
  const timer = setInterval(task, ms);
  timer.unref();
  return () => clearInterval(timer);
}
