import { attempt } from "../../ledger/findings.ts";
import { idText, readU64 } from "../keys.ts";
import type { Database, KeyRange, Operation } from "../level/database.ts";
import { changeRows } from "./rows.ts";

const ID_ROWS: KeyRange = { gte: Buffer.from("d"), lt: Buffer.from("e") };
/** In format 1: `d` and the 16 bytes of an id, with a u64. */
const [KEY_LENGTH, VALUE_LENGTH] = [17, 8];

/**
 * From format 1, which had ids and the numbers that they lead to as bytes, to format 2, which has both as text under the
 * same letter. Cut off, it goes on with those that are left. What is no such row stays as it is: a verification names what
 * it lacks.
 */
export function idsToText(database: Database): Promise<void> {
  return changeRows(database, ID_ROWS, textRow);
}

function textRow(key: Buffer, value: Buffer): Operation[] {
  if (key.length !== KEY_LENGTH || value.length !== VALUE_LENGTH) return [];
  const seq = attempt(() => readU64(value)).value;
  if (seq === null) return [];
  return [
    { type: "put", key: Buffer.from(`d${idText(key.subarray(1))}`), value: Buffer.from(String(seq)) },
    { type: "del", key },
  ];
}
