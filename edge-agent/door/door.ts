import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { Uuid7 } from "../../lib/contracts/names.ts";
import { parseValue } from "../../lib/contracts/parse.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import { breathe } from "../breathe.ts";
import type { OutboxReport } from "../summary/summary.ts";
import { admission } from "./admission.ts";
import { answerTo, jsonBody } from "./answers.ts";
import type { EntryIntake } from "./entry-intake.ts";
import { parseEntryRequests, ReceiptsRequest } from "./entry-request.ts";

export type DoorOptions = {
  key: string;
  intake: EntryIntake;
  /** What each outbox holds. */
  depth: () => OutboxReport[];
  log: Logger;
};

/** A thousand ordinary entries are 300 KiB. */
const BODY_MAXIMUM = 4 * 1024 * 1024;

/**
 * The door of the machine: how programs beside the agent hand in entries.
 *
 * `POST /entries` takes one entry or an array and answers 202 once all are on disk, or a Problem with none of them
 * saved; when the disk fills up half-way, with some of them saved: handing in again under the same ids saves the rest.
 * `GET /entries/<id>` says whether an entry waits or which receipt it got, `POST /receipts` the same of many.
 * `GET /outbox` says what waits.
 */
export function createDoor({ key, intake, depth, log }: DoorOptions): Hono {
  const door = new Hono();
  const admit = admission(key);
  const limit = bodyLimit({
    maxSize: BODY_MAXIMUM,
    onError: (context) =>
      context.json({ code: "schema", message: `Reading the entries failed: more than ${BODY_MAXIMUM} bytes.` }, 413),
  });
  door.onError((error, context) => answerTo(error, context, log));
  door.post("/entries", admit, limit, async (context) => {
    const requests = await parseEntryRequests(await jsonBody(context), breathe);
    return context.json(await intake.save(requests), 202);
  });
  door.get("/entries/:id", admit, async (context) => {
    const id = parseValue(Uuid7, context.req.param("id"), "the entry's id");
    return context.json({ id, status: await intake.statusOf(id) });
  });
  door.post("/receipts", admit, limit, async (context) => {
    const { ids } = parseValue(ReceiptsRequest, await jsonBody(context), "the question for receipts");
    return context.json(await intake.statusesOf(ids));
  });
  door.get("/outbox", admit, (context) => context.json(depth()));
  return door;
}
