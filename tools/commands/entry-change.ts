import { Uuid7 } from "../../lib/contracts/names.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { Justification } from "../../lib/contracts/production.ts";
import type { Receipt } from "../../lib/contracts/events.ts";
import type { Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import { typedInstant, usageError } from "../client/usage.ts";
import { exitOf, receiptText } from "./entry-add.ts";
import { changesSomething, entryFields, type FieldOptions } from "./entry-options.ts";

export type ReasonOptions = { reason: string; text: string };
export type CorrectOptions = FieldOptions & ReasonOptions & { at?: string };

/** Reads the entry, lays what was given over its fields, and sends all of them with the version that was seen. */
export async function runCorrect(terminal: Terminal, given: string, options: CorrectOptions): Promise<Outcome> {
  const id = parseValue(Uuid7, given, "the entry's id");
  const reason = justification(options);
  const at = options.at === undefined ? null : typedInstant("--at", options.at);
  if (at === null && !changesSomething(options)) {
    throw usageError("entry correct", "without a field", "what is to be changed, such as --good 12");
  }
  const { withHub } = await import("../client/session.ts");
  const { v7: newId } = await import("uuid");
  const done = await withHub(terminal.env, async (hub) => {
    const { entry } = await hub.call("production", "entry-show", { id });
    const fields = entryFields(options, entry.fields);
    return hub.call("production", "entry-correct", { id, event: newId(), rev: entry.rev, at, fields, reason });
  });
  return outcome("corrected", done);
}

export async function runVoid(terminal: Terminal, given: string, options: ReasonOptions): Promise<Outcome> {
  const id = parseValue(Uuid7, given, "the entry's id");
  const reason = justification(options);
  const { withHub } = await import("../client/session.ts");
  const { v7: newId } = await import("uuid");
  const done = await withHub(terminal.env, async (hub) => {
    const { entry } = await hub.call("production", "entry-show", { id });
    return hub.call("production", "entry-void", { id, event: newId(), rev: entry.rev, reason });
  });
  return outcome("voided", done);
}

function justification({ reason, text }: ReasonOptions) {
  return parseValue(Justification, { code: reason.toUpperCase(), text }, "the justification");
}

function outcome(what: string, done: { id: string; rev: number; receipt: Receipt }): Outcome {
  const text = `entry ${done.id} ${what}, now version ${done.rev}\n${receiptText(done.receipt)}`;
  return { data: done, text, exit: exitOf(done.receipt) };
}
