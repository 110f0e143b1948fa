import { idBytes } from "../../../lib/storage/keys.ts";

/*
 * Where the fleet's store has its commands:
 *
 *   sc <16-byte id>              the command with its history and result
 *   so <16-byte id>              present while something is still to come of it
 *   sm <machine> / <16-byte id>  present for each command of a machine
 */

type KeyRange = { gte: Buffer; lt: Buffer };

export const commandKeys = {
  record: (id: string) => Buffer.concat([Buffer.from("sc"), idBytes(id)]),
  open: (id: string) => Buffer.concat([Buffer.from("so"), idBytes(id)]),
  ofMachine: (machine: string, id: string) => Buffer.concat([Buffer.from(`sm${machine}/`), idBytes(id)]),
} as const;

export const RECORDS: KeyRange = { gte: Buffer.from("sc"), lt: Buffer.from("sd") };
export const OPEN: KeyRange = { gte: Buffer.from("so"), lt: Buffer.from("sp") };

/** Keys of a machine's commands, or of all, older than `before`. */
export function listRange(machine: string | null, before: string | null): KeyRange {
  const gte = machine === null ? RECORDS.gte : Buffer.from(`sm${machine}/`);
  // "0" follows "/".
  const end = machine === null ? RECORDS.lt : Buffer.from(`sm${machine}0`);
  if (before === null) return { gte, lt: end };
  return { gte, lt: machine === null ? commandKeys.record(before) : commandKeys.ofMachine(machine, before) };
}

/** The id at the end of any of these keys. */
export function idOf(key: Buffer): string {
  const hex = key.subarray(-16).toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
