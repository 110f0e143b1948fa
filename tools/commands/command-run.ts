import { setTimeout as pause } from "node:timers/promises";
import { type CommandView, isOpen } from "../../lib/contracts/commands.ts";
import { Uuid7 } from "../../lib/contracts/names.ts";
import { OPERATIONS } from "../../lib/contracts/operations.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { orKnown } from "../client/ask-again.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { list, localTime, plain, table } from "../client/print.ts";
import type { SignedInHub } from "../client/session.ts";
import { startSpinner } from "../client/spinner.ts";
import type { Terminal } from "../client/terminal.ts";
import { typedCount } from "../client/usage.ts";
import { type CommandOptions, typedCommandOptions } from "./command-options.ts";

export type WaitOptions = { wait?: boolean };
export type SendOptions = WaitOptions & CommandOptions & { id?: string };
export type ListOptions = { pending?: true; limit?: string; after?: string };

/** The fleet concludes from silence some seconds after a command's own times. */
const MARGIN_MS = 15_000;
/** How long one question after its state may take. */
const ASK_TIMEOUT_MS = 3000;
/** Pauses between questions: a ping is back within milliseconds, others take their time. */
const ASK_MS = { first: 40, longest: 1000 } as const;

export async function runSend(
  terminal: Terminal,
  machine: string,
  name: string,
  options: SendOptions,
): Promise<Outcome> {
  const { v7 } = await import("uuid");
  const given = {
    id: options.id ?? v7(),
    machine,
    name,
    ...typedCommandOptions(options),
  };
  const request = parseValue(OPERATIONS.fleet["command-send"].request, given, "the command");
  return sendOrApprove(terminal, options, (hub) => hub.call("fleet", "command-send", request));
}

export async function runApprove(terminal: Terminal, given: string, options: WaitOptions): Promise<Outcome> {
  const id = parseValue(Uuid7, given, "the command's id");
  return sendOrApprove(terminal, options, (hub) => hub.call("fleet", "command-approve", { id }));
}

async function sendOrApprove(
  terminal: Terminal,
  options: WaitOptions,
  ask: (hub: SignedInHub) => Promise<CommandView>,
): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const wait = options.wait !== false;
  const view = await withHub(terminal.env, async (hub) => {
    const sent = await ask(hub);
    return wait ? follow(terminal, hub, sent) : sent;
  });
  const done = view.state === "succeeded" || !wait;
  return { data: view, text: await viewText(view), exit: done ? EXIT.done : EXIT.no };
}

/** Asks again and again until the command has ended, or long enough after it should have. */
async function follow(terminal: Terminal, hub: SignedInHub, sent: CommandView): Promise<CommandView> {
  const { id, machine, name } = sent;
  if (sent.state === "pending-approval") terminal.stderr.write(`${waitsText(sent)}\n`);
  const spinner = startSpinner(terminal.stderr, `${name} on ${machine}`);
  let until = Date.now() + spanOf(sent);
  try {
    let view = sent;
    for (
      let ms: number = ASK_MS.first;
      isOpen(view.state) && Date.now() < until;
      ms = Math.min(ASK_MS.longest, ms * 1.5)
    ) {
      await pause(ms);
      const next = await hub.call("fleet", "command-show", { id }, { timeoutMs: ASK_TIMEOUT_MS }).catch(orKnown(view));
      // Its time begins anew with an approval.
      if (next.issuedAt !== view.issuedAt) until = Date.now() + spanOf(next);
      view = next;
    }
    return view;
  } finally {
    spinner.stop();
  }
}

/** Within so many ms of its issuing the fleet knows, or has concluded, what came of it. */
function spanOf({ issuedAt, notAfter, timeoutMs }: CommandView): number {
  return Date.parse(notAfter) - Date.parse(issuedAt) + timeoutMs + MARGIN_MS;
}

function waitsText({ id, notAfter }: CommandView): string {
  return `It takes a second person. Until ${localTime(notAfter)} another one may type: rastro command approve ${id}`;
}

export async function runList(terminal: Terminal, machine: string | undefined, options: ListOptions): Promise<Outcome> {
  const given = {
    machine: machine ?? null,
    pending: options.pending === true,
    after: options.after ?? null,
    ...(options.limit === undefined ? {} : { limit: typedCount(options.limit) }),
  };
  const request = parseValue(OPERATIONS.fleet["command-list"].request, given, "the options");
  const { withHub } = await import("../client/session.ts");
  const page = await withHub(terminal.env, (hub) => hub.call("fleet", "command-list", request));
  const rows = page.commands.map((row) => [row.id, localTime(row.issuedAt), row.machine, row.name, row.state, row.who]);
  const text = await table(
    ["command", "issued", "machine", "name", "state", "who"],
    rows,
    options.pending === true ? "No command waits for a second person." : "There is no command.",
  );
  return { data: page, text: page.next === null ? text : `${text}\nMore with: --after ${page.next}` };
}

export async function runCancel(terminal: Terminal, given: string): Promise<Outcome> {
  const id = parseValue(Uuid7, given, "the command's id");
  const { withHub } = await import("../client/session.ts");
  const view = await withHub(terminal.env, (hub) => hub.call("fleet", "command-cancel", { id }));
  return { data: view, text: await viewText(view) };
}

export async function runShow(terminal: Terminal, given: string): Promise<Outcome> {
  const id = parseValue(Uuid7, given, "the command's id");
  const { withHub } = await import("../client/session.ts");
  const view = await withHub(terminal.env, (hub) => hub.call("fleet", "command-show", { id }));
  return { data: view, text: await viewText(view) };
}

async function viewText(view: CommandView): Promise<string> {
  const error = view.result?.error ?? null;
  const facts = list([
    ["command", view.id],
    ["what", `${view.name} on ${view.machine}`],
    ["state", view.progress === null ? view.state : `${view.state}, ${view.progress.done} of ${view.progress.of}`],
    ["issued", `${localTime(view.issuedAt)}${view.who === null ? "" : ` by ${view.who}`}`],
    [view.state === "pending-approval" ? "to be approved by" : "valid until", localTime(view.notAfter)],
    ...(error === null ? [] : [["why", `${error.code}: ${error.message}`] as [string, string]]),
  ]);
  const begun = Date.parse(view.history[0]?.at ?? view.issuedAt);
  const steps = await table(
    ["step", "after", "by"],
    view.history.map(({ state, at, who }) => [state, `${Date.parse(at) - begun} ms`, who]),
    "",
  );
  const data = view.result?.data ?? null;
  return [facts, steps, ...(data === null ? [] : [resultText(data)])].join("\n\n");
}

function resultText(data: unknown): string {
  return JSON.stringify(data, null, 2).split("\n").map(plain).join("\n");
}
