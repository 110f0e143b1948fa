import { setTimeout as pause } from "node:timers/promises";
import { Uuid7 } from "../../lib/contracts/names.ts";
import { OPERATIONS } from "../../lib/contracts/operations.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import type { RolloutTally, RolloutView } from "../../lib/contracts/rollouts.ts";
import { orKnown } from "../client/ask-again.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { list, localTime, table } from "../client/print.ts";
import type { SignedInHub } from "../client/session.ts";
import { startSpinner } from "../client/spinner.ts";
import type { Terminal } from "../client/terminal.ts";
import { typedCount, usageError } from "../client/usage.ts";
import { type CommandOptions, typedCommandOptions } from "./command-options.ts";
import type { WaitOptions } from "./command-run.ts";

export type BeginOptions = WaitOptions &
  CommandOptions & { all?: true; wave?: string; stopAfter?: string; id?: string };
export type RolloutListOptions = { limit?: string; after?: string };

/** How often it is asked how far a rollout is, and how long one question may take, ms. */
const ASK_EVERY_MS = 500;
const ASK_TIMEOUT_MS = 3000;

export async function runBegin(
  terminal: Terminal,
  name: string,
  machines: string[],
  options: BeginOptions,
): Promise<Outcome> {
  if ((options.all === true) === machines.length > 0) {
    throw usageError("--all", `used with ${machines.length} machines`, "either --all or ids of machines");
  }
  const { v7 } = await import("uuid");
  const given = {
    id: options.id ?? v7(),
    name,
    machines: options.all === true ? null : machines,
    ...(options.wave === undefined ? {} : { waveSize: typedCount(options.wave) }),
    ...(options.stopAfter === undefined ? {} : { stopAfter: typedCount(options.stopAfter) }),
    ...typedCommandOptions(options),
  };
  const request = parseValue(OPERATIONS.fleet["rollout-begin"].request, given, "the rollout");
  return follow(terminal, options, (hub) => hub.call("fleet", "rollout-begin", request));
}

export async function runApproveRollout(terminal: Terminal, given: string, options: WaitOptions): Promise<Outcome> {
  const id = rolloutId(given);
  return follow(terminal, options, (hub) => hub.call("fleet", "rollout-approve", { id }));
}

export async function runCancelRollout(terminal: Terminal, given: string): Promise<Outcome> {
  const id = rolloutId(given);
  return shown(terminal, (hub) => hub.call("fleet", "rollout-cancel", { id }));
}

export async function runShowRollout(terminal: Terminal, given: string): Promise<Outcome> {
  const id = rolloutId(given);
  return shown(terminal, (hub) => hub.call("fleet", "rollout-show", { id }));
}

export async function runListRollouts(terminal: Terminal, options: RolloutListOptions): Promise<Outcome> {
  const given = {
    after: options.after ?? null,
    ...(options.limit === undefined ? {} : { limit: typedCount(options.limit) }),
  };
  const request = parseValue(OPERATIONS.fleet["rollout-list"].request, given, "the options");
  const { withHub } = await import("../client/session.ts");
  const page = await withHub(terminal.env, (hub) => hub.call("fleet", "rollout-list", request));
  const rows = page.rollouts.map(({ id, askedAt, name, state, tally, who }) => [
    id,
    localTime(askedAt),
    name,
    state,
    tallyText(tally),
    who,
  ]);
  const text = await table(["rollout", "asked", "name", "state", "machines", "who"], rows, "There is no rollout.");
  return { data: page, text: page.next === null ? text : `${text}\nMore with: --after ${page.next}` };
}

/** Asks again and again until the rollout is over: it has no end of its own that could be known here. */
async function follow(
  terminal: Terminal,
  options: WaitOptions,
  ask: (hub: SignedInHub) => Promise<RolloutView>,
): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const wait = options.wait !== false;
  const view = await withHub(terminal.env, async (hub) => {
    const begun = await ask(hub);
    return wait ? untilOver(terminal, hub, begun) : begun;
  });
  const done = !wait || (view.state === "done" && view.tally.succeeded === view.tally.machines);
  return { data: view, text: await viewText(view), exit: done ? EXIT.done : EXIT.no };
}

async function untilOver(terminal: Terminal, hub: SignedInHub, begun: RolloutView): Promise<RolloutView> {
  if (begun.state === "pending-approval") {
    terminal.stderr.write(`It takes a second person: another one may type: rastro rollout approve ${begun.id}\n`);
  }
  const spinner = startSpinner(terminal.stderr, `${begun.name} on ${begun.machines.length} machines`);
  try {
    let view = begun;
    while (!isSettled(view)) {
      await pause(ASK_EVERY_MS);
      view = await hub
        .call("fleet", "rollout-show", { id: begun.id }, { timeoutMs: ASK_TIMEOUT_MS })
        .catch(orKnown(view));
    }
    return view;
  } finally {
    spinner.stop();
  }
}

function isSettled({ state, tally }: RolloutView): boolean {
  return state !== "pending-approval" && state !== "running" && tally.open === 0;
}

async function shown(terminal: Terminal, ask: (hub: SignedInHub) => Promise<RolloutView>): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const view = await withHub(terminal.env, ask);
  return { data: view, text: await viewText(view) };
}

async function viewText(view: RolloutView): Promise<string> {
  const facts = list([
    ["rollout", view.id],
    ["what", `${view.name} on ${view.machines.length} machines, ${view.waveSize} at once`],
    ["state", view.state],
    ["machines", tallyText(view.tally)],
    ["asked", `${localTime(view.askedAt)}${view.who === null ? "" : ` by ${view.who}`}`],
    ...(view.approveBy === null ? [] : [["to be approved by", localTime(view.approveBy)] as [string, string]]),
    ["stops", `after ${view.stopAfter} ${view.stopAfter === 1 ? "failure" : "failures"}`],
  ]);
  const steps = await table(
    ["step", "at", "by"],
    view.history.map(({ state, at, who }) => [state, localTime(at), who]),
    "",
  );
  const rows = view.waves.flatMap(({ commands }, index) =>
    commands.map(({ machine, command, state, refused }) => [index + 1, machine, state ?? refused, command]),
  );
  const waves = await table(["wave", "machine", "state", "command"], rows, "No wave has begun.");
  return [facts, steps, waves].join("\n\n");
}

function tallyText({ machines, open, succeeded, failed, unreached }: RolloutTally): string {
  return `${succeeded} of ${machines} succeeded, ${failed} failed, ${unreached} unreached, ${open} open`;
}

function rolloutId(given: string): string {
  return parseValue(Uuid7, given, "the rollout's id");
}
