import { setTimeout as pause } from "node:timers/promises";
import { type CommandView, isOpen } from "../../lib/contracts/commands.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { Uuid7 } from "../../lib/contracts/names.ts";
import { OPERATIONS, type RequestOf } from "../../lib/contracts/operations.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { list, localTime, plain, table } from "../client/print.ts";
import type { SignedInHub } from "../client/session.ts";
import { startSpinner } from "../client/spinner.ts";
import type { Terminal } from "../client/terminal.ts";
import { typedCount, usageError } from "../client/usage.ts";

export type SendOptions = { args?: string; valid?: string; timeout?: string; id?: string; wait?: boolean; json?: true };
export type ListOptions = { limit?: string; after?: string };
type Request = RequestOf<"fleet", "command-send">;

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
    ...(options.args === undefined ? {} : { args: typedJson("--args", options.args) }),
    ...(options.valid === undefined ? {} : { validMs: typedSeconds("--valid", options.valid) }),
    ...(options.timeout === undefined ? {} : { timeoutMs: typedSeconds("--timeout", options.timeout) }),
  };
  const request = parseValue(OPERATIONS.fleet["command-send"].request, given, "the command");
  const { withHub } = await import("../client/session.ts");
  const wait = options.wait !== false;
  const view = await withHub(terminal.env, async (hub) => {
    const sent = await hub.call("fleet", "command-send", request);
    return wait ? follow(terminal, hub, request, sent) : sent;
  });
  const done = view.state === "succeeded" || !wait;
  return { data: view, text: await viewText(view), exit: done ? EXIT.done : EXIT.no };
}

/** Asks again and again until the command has ended, or long enough after it should have. */
async function follow(
  terminal: Terminal,
  hub: SignedInHub,
  { id, machine, name }: Request,
  sent: CommandView,
): Promise<CommandView> {
  const spinner = startSpinner(terminal.stderr, `${name} on ${machine}`);
  const until = Date.now() + Date.parse(sent.notAfter) - Date.parse(sent.issuedAt) + sent.timeoutMs + MARGIN_MS;
  try {
    let view = sent;
    for (
      let ms: number = ASK_MS.first;
      isOpen(view.state) && Date.now() < until;
      ms = Math.min(ASK_MS.longest, ms * 1.5)
    ) {
      await pause(ms);
      view = await hub.call("fleet", "command-show", { id }, { timeoutMs: ASK_TIMEOUT_MS }).catch(orAgain(view));
    }
    return view;
  } finally {
    spinner.stop();
  }
}

/** A fleet or hub that is being started anew does not end the waiting: the command goes on without whoever waits. */
function orAgain(view: CommandView): (error: unknown) => CommandView {
  return (error) => {
    if (error instanceof RastroError && (error.code === "timeout" || error.code === "not_reachable")) return view;
    throw error;
  };
}

export async function runList(terminal: Terminal, machine: string | undefined, options: ListOptions): Promise<Outcome> {
  const given = {
    machine: machine ?? null,
    after: options.after ?? null,
    ...(options.limit === undefined ? {} : { limit: typedCount(options.limit) }),
  };
  const request = parseValue(OPERATIONS.fleet["command-list"].request, given, "the options");
  const { withHub } = await import("../client/session.ts");
  const page = await withHub(terminal.env, (hub) => hub.call("fleet", "command-list", request));
  const rows = page.commands.map((row) => [row.id, localTime(row.issuedAt), row.machine, row.name, row.state, row.who]);
  const text = await table(["command", "issued", "machine", "name", "state", "who"], rows, "There is no command.");
  return { data: page, text: page.next === null ? text : `${text}\nMore with: --after ${page.next}` };
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
    ["valid until", localTime(view.notAfter)],
    ...(error === null ? [] : [["why", `${error.code}: ${error.message}`] as [string, string]]),
  ]);
  const begun = Date.parse(view.issuedAt);
  const steps = await table(
    ["step", "after"],
    view.history.map(({ state, at }) => [state, `${Date.parse(at) - begun} ms`]),
    "",
  );
  const data = view.result?.data ?? null;
  return [facts, steps, ...(data === null ? [] : [resultText(data)])].join("\n\n");
}

function resultText(data: unknown): string {
  return JSON.stringify(data, null, 2).split("\n").map(plain).join("\n");
}

function typedJson(option: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw usageError(option, JSON.stringify(text), "a JSON object");
  }
}

function typedSeconds(option: string, text: string): number {
  const seconds = typedCount(text);
  if (typeof seconds === "number") return seconds * 1000;
  throw usageError(option, JSON.stringify(text), "a whole number of seconds");
}
