import { setTimeout as pause } from "node:timers/promises";
import type { Receipt } from "../../lib/contracts/events.ts";
import { Segment } from "../../lib/contracts/names.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import { readSettings } from "../../lib/runtime/settings.ts";
import { openDoor } from "../client/agent-door.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { list, localTime, plain } from "../client/print.ts";
import { startProgress } from "../client/progress.ts";
import { type SignedInHub, withHub } from "../client/session.ts";
import type { Terminal } from "../client/terminal.ts";
import { usageError } from "../client/usage.ts";
import { prepareMachines, type Prepared } from "../replay/prepare-machines.ts";
import { readReports } from "../replay/read-reports.ts";
import { entriesOf, type ReplayedEntry } from "../replay/report-entry.ts";
import { sendEntries, type SendProgress } from "../replay/send-entries.ts";
import { openZone, type Zone } from "../replay/zone.ts";

export type ReplayOptions = { speed?: string; as?: string; tz?: string };

/** Ids of one question to the production service. */
const ASKED_TOGETHER = 500;
/** Entries without a booking that are named. */
const NAMED = 20;

const now = Date.now;
const wait = (ms: number): Promise<void> => pause(ms);

/** Reads, checks, registers, sends and waits for every receipt, in this order. */
export async function runReplay(terminal: Terminal, file: string, options: ReplayOptions): Promise<Outcome> {
  const speed = options.speed === undefined ? null : typedSpeed(options.speed);
  const settings = readSettings(terminal.env);
  const zone = typedZone(options.tz ?? settings.tz);
  const agent = options.as === undefined ? settings.machine : parseValue(Segment, options.as, "--as");
  const entries = entriesOf(await readReports(file), zone);
  const door = await openDoor(terminal.env, agent);
  const machines = [...new Set(entries.map(({ fields }) => fields.machine))].toSorted();

  const { prepared, earlier } = await withHub(terminal.env, async (hub) => ({
    prepared: await prepareMachines({ hub, agent, machines, now, wait }),
    earlier: await bookedEarlier(hub, entries),
  }));
  const outstanding = entries.filter(({ id }) => !earlier.has(id));
  const begun = now();
  const rate = (received: number) => Math.round((received * 1000) / Math.max(1, now() - begun));
  const bar = await startProgress(terminal.stderr, "receipts", outstanding.length);
  const onProgress = ({ saved, received }: SendProgress) =>
    bar.update(received, `${saved} saved, ${rate(received)} entries/s`);
  try {
    const receipts = await sendEntries({ door, entries: outstanding, speed, now, wait, onProgress });
    const sent = { entries: outstanding, receipts, tookMs: now() - begun, entriesPerSecond: rate(outstanding.length) };
    return outcomeOf({ file, zone, agent, machines, prepared, earlier: earlier.size, entries, sent });
  } finally {
    bar.stop();
  }
}

/**
 * Ids that are in the book already, whoever brought them: the same event out of another outbox has other bytes, and would
 * be set apart as a conflict.
 */
async function bookedEarlier(hub: SignedInHub, entries: readonly ReplayedEntry[]): Promise<Set<string>> {
  const booked = new Set<string>();
  for (let from = 0; from < entries.length; from += ASKED_TOGETHER) {
    const ids = entries.slice(from, from + ASKED_TOGETHER).map(({ id }) => id);
    const { receipts } = await hub.call("production", "entry-receipts", { ids });
    for (const [index, receipt] of receipts.entries()) if (receipt !== null) booked.add(ids[index] as string);
  }
  return booked;
}

type Replayed = {
  file: string;
  zone: Zone;
  agent: string;
  machines: string[];
  prepared: Prepared;
  earlier: number;
  entries: ReplayedEntry[];
  sent: { entries: ReplayedEntry[]; receipts: Map<string, Receipt>; tookMs: number; entriesPerSecond: number };
};

function outcomeOf({ file, zone, agent, machines, prepared, earlier, entries, sent }: Replayed): Outcome {
  const count = (status: Receipt["status"]) =>
    [...sent.receipts.values()].filter((one) => one.status === status).length;
  const notBooked = sent.entries.flatMap(({ line, id }) => {
    const receipt = sent.receipts.get(id);
    return receipt === undefined || receipt.status === "booked" ? [] : [{ line, ...receipt }];
  });
  const data = {
    file,
    agent,
    tz: zone.name,
    from: entries[0]?.at ?? null,
    to: entries.at(-1)?.at ?? null,
    entries: entries.length,
    machines: machines.length,
    ...prepared,
    alreadyBooked: earlier,
    booked: count("booked"),
    refused: count("refused"),
    quarantined: count("quarantined"),
    notBooked: notBooked.slice(0, NAMED),
    tookMs: sent.tookMs,
    entriesPerSecond: sent.entriesPerSecond,
  };
  return { data, text: textOf(data), exit: notBooked.length === 0 ? EXIT.done : EXIT.no };
}

type ReplayData = {
  from: string | null;
  to: string | null;
  entries: number;
  machines: number;
  registered: string[];
  spokenFor: string[];
  agent: string;
  alreadyBooked: number;
  booked: number;
  refused: number;
  quarantined: number;
  notBooked: { line: number; status: string; code?: string | undefined }[];
  tookMs: number;
  entriesPerSecond: number;
};

function textOf(data: ReplayData): string {
  const facts = list([
    ["entries", `${data.entries} of ${data.machines} machines, ${span(data.from, data.to)}`],
    ["machines", machinesText(data)],
    ["in the book before", data.alreadyBooked],
    ["booked now", data.booked],
    ["refused", data.refused],
    ["quarantined", data.quarantined],
    ["took", speedText(data)],
  ]);
  const lines = data.notBooked.map((one) => `  line ${one.line}: ${one.status}${one.code ? ` (${one.code})` : ""}`);
  const more = data.refused + data.quarantined - lines.length;
  return [facts, ...lines.map(plain), ...(more > 0 ? [`  and ${more} more`] : [])].join("\n");
}

function machinesText({ registered, spokenFor, agent }: ReplayData): string {
  if (registered.length + spokenFor.length === 0) return `${agent} speaks for all of them already`;
  return `${registered.length} newly registered; ${agent} speaks for ${spokenFor.length} more now`;
}

function span(from: string | null, to: string | null): string {
  return from === null || to === null ? "" : `${localTime(from)} to ${localTime(to)}`;
}

function speedText({ tookMs, booked, refused, quarantined, entriesPerSecond }: ReplayData): string {
  const seconds = `${(tookMs / 1000).toFixed(1)} s`;
  return booked + refused + quarantined === 0 ? seconds : `${seconds}, ${entriesPerSecond} entries a second`;
}

function typedSpeed(text: string): number {
  const speed = /^\d{1,9}(?:\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (speed > 0) return speed;
  throw usageError("--speed", JSON.stringify(text), "a number above 0, such as 60 for a minute in a second");
}

function typedZone(name: string): Zone {
  try {
    return openZone(name);
  } catch {
    throw usageError("--tz", JSON.stringify(name), "an IANA time zone such as America/Sao_Paulo");
  }
}
