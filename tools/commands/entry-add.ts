import type { EntryFields } from "../../lib/contracts/production.ts";
import { Uuid7 } from "../../lib/contracts/names.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import type { Receipt } from "../../lib/contracts/events.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import { typedInstant } from "../client/usage.ts";
import { entryFields, type FieldOptions } from "./entry-options.ts";

export type AddOptions = FieldOptions & { at?: string; id?: string; atAgent?: true; json?: true };
type NewEntry = { id: string; at: string; fields: EntryFields };

/** Makes an entry: by asking the production service, or through the door of the agent on this machine. */
export async function runAdd(terminal: Terminal, options: AddOptions): Promise<Outcome> {
  const fields = entryFields(options);
  const { v7 } = await import("uuid");
  const id = options.id === undefined ? v7() : parseValue(Uuid7, options.id, "--id");
  const at = options.at === undefined ? new Date().toISOString() : typedInstant("--at", options.at);
  const entry = { id, at, fields };
  return options.atAgent ? addAtAgent(terminal, entry, options.json === true) : addAtHub(terminal, entry);
}

async function addAtHub(terminal: Terminal, entry: NewEntry): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const { id, receipt } = await withHub(terminal.env, (hub) =>
    hub.call("production", "entry-add", { ...entry, tz: hub.settings.tz }),
  );
  return { data: { id, receipt }, text: `entry ${id}\n${receiptText(receipt)}`, exit: exitOf(receipt) };
}

async function addAtAgent(terminal: Terminal, entry: NewEntry, quiet: boolean): Promise<Outcome> {
  const { openDoor } = await import("../client/agent-door.ts");
  const door = await openDoor(terminal.env);
  await door.save(entry);
  if (!quiet) terminal.stdout.write(`entry ${entry.id}\nsaved on the disk of machine ${door.machine}\n`);
  const receipt = await door.receiptOf(entry.id);
  const data = { id: entry.id, receipt };
  if (receipt === null) return { data, text: "no receipt yet: the agent goes on sending it until it has one" };
  return { data, text: `received: ${receiptText(receipt)}`, exit: exitOf(receipt) };
}

/** What a receipt says, for people. */
export function receiptText(receipt: Receipt): string {
  const code = receipt.code === undefined ? "" : ` (${receipt.code})`;
  return `${receipt.status}${code} as record ${receipt.seq} of the book ${receipt.book}, leaf ${receipt.leaf}`;
}

/** Refused and quarantined are receipts too, but the answer is no. */
export function exitOf(receipt: Receipt): typeof EXIT.done | typeof EXIT.no {
  return receipt.status === "booked" ? EXIT.done : EXIT.no;
}
