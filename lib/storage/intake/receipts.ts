import type { Receipt } from "../../contracts/events.ts";
import { ErrorCode } from "../../contracts/errors.ts";
import type { BookName } from "../../contracts/names.ts";
import type { RecordAdded } from "../../ledger/record.ts";

/** The receipt for a record; the same record gives the same receipt each time. */
export function receiptFor(
  id: string,
  book: BookName,
  booked: { seq: number; leaf: string },
  added: Pick<RecordAdded, "result" | "code">,
): Receipt {
  const code = ErrorCode.safeParse(added.code);
  return {
    id,
    status: added.result,
    book,
    seq: booked.seq,
    leaf: booked.leaf,
    ...(code.success && { code: code.data }),
  };
}
