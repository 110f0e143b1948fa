import type { Event } from "../../contracts/events.ts";
import type { ExportFilter } from "../../contracts/export.ts";
import type { LedgerRecord } from "../../ledger/record.ts";

/** A filter whose person is an id: names stay out of records and files. */
export type ResolvedFilter = ExportFilter;

/** Only what was given, as it is put on record and written into the file. */
export function givenOf(filter: ResolvedFilter): Record<string, string | number> {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== null)) as Record<
    string,
    string | number
  >;
}

/** Whether nothing but the number of a record decides. */
export function asksForNumbersOnly(filter: ResolvedFilter): boolean {
  return Object.keys(givenOf(filter)).every((name) => name === "fromSeq" || name === "toSeq");
}

/** The records that can fit by their number: `from` to `to` - 1. */
export function numbersOf(filter: ResolvedFilter, size: number): { from: number; to: number } {
  const to = Math.min(filter.toSeq ?? size, size);
  return { from: Math.min(filter.fromSeq ?? 0, to), to };
}

/** Whether a record fits, its number aside. Of a record that lacks what is asked for it is false; never throws. */
export function fits(filter: ResolvedFilter, record: Pick<LedgerRecord, "event" | "added">): boolean {
  const event = record.event as Event;
  const { from, to, machine, person, lot, type, kind } = filter;
  return (
    (from === null || event.at >= from) &&
    (to === null || event.at < to) &&
    (kind === null || event.obj?.kind === kind) &&
    (type === null || event.type === type || event.payload?.["type"] === type) &&
    (person === null || isAbout(event, "person", person) || event.actor?.sub === person) &&
    (machine === null || isAbout(event, "machine", machine) || machinesOf(record).includes(machine)) &&
    (lot === null || saidOf(record, "lot").includes(lot))
  );
}

function isAbout(event: Event, kind: string, key: string): boolean {
  return event.obj?.kind === kind && event.obj.key === key;
}

function machinesOf(record: Pick<LedgerRecord, "event" | "added">): unknown[] {
  const event = record.event as Event;
  return [event.src?.name, event.payload?.["origin"], ...saidOf(record, "machine")];
}

/**
 * What a record says under a name: in the payload itself, in the fields of an entry, and in what was there before and
 * after, which the audit book has within its own payload.
 */
function saidOf({ event, added }: Pick<LedgerRecord, "event" | "added">, name: string): unknown[] {
  const payload = (event as Event).payload;
  const places = [payload, payload?.["fields"], payload?.["before"], payload?.["after"], added.before, added.after];
  return places.map((place) => memberOf(place, name));
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
