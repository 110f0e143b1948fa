import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { WITNESS_REQUEST_MAXIMUM, witnessAnswerBody } from "../../lib/contracts/witness.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import { originHash } from "../../lib/witness/log-notes.ts";
import { requestText } from "../../lib/witness/request-text.ts";
import { originsOf, type TrustedLogs } from "../../lib/witness/trusted-logs.ts";
import type { Witness } from "../../lib/witness/witness.ts";

const TEXT = "text/plain; charset=utf-8";
/** tlog-witness, "add-checkpoint": the type of a body that is a size. */
const SIZE = "text/x.tlog.size";

/**
 * The HTTP interface of C2SP's tlog-witness. Anybody may ask: a request counts by the log's signature alone, and what is
 * answered is no secret.
 */
export function witnessRoutes(o: { witness: Witness; logs: TrustedLogs; log: Logger }): Hono {
  const app = new Hono();
  const limited = bodyLimit({
    maxSize: WITNESS_REQUEST_MAXIMUM,
    onError: (context) => context.body("the request is longer than any\n", 413, { "content-type": TEXT }),
  });

  app.post("/add-checkpoint", limited, async (context) => {
    const request = requestText(new Uint8Array(await context.req.arrayBuffer()));
    // What is no text is no request either.
    const answer = await o.witness.addCheckpoint(request ?? "");
    const headers = { "content-type": answer.status === 409 ? SIZE : TEXT };
    return context.body(witnessAnswerBody(answer), answer.status, headers);
  });
  app.all("/add-checkpoint", (context) =>
    context.body("expected POST\n", 405, { allow: "POST", "content-type": TEXT }),
  );

  /** tlog-witness, "Monitor Retrieval Mechanism". */
  app.get("/:hash{[0-9a-f]{64}}/checkpoint", async (context) => {
    const hash = context.req.param("hash");
    const origin = originsOf(o.logs).find((name) => originHash(name) === hash);
    const cosigned = origin === undefined ? null : await o.witness.cosigned(origin);
    if (cosigned === null)
      return context.body("no checkpoint of this log was cosigned\n", 404, { "content-type": TEXT });
    return context.body(cosigned.note, 200, { "content-type": TEXT });
  });

  app.notFound((context) => context.body("there is nothing here\n", 404, { "content-type": TEXT }));
  app.onError((error, context) => {
    o.log.error({ err: error, path: context.req.path }, "a request of the witness failed");
    return context.body("the witness's log has the reason\n", 500, { "content-type": TEXT });
  });
  return app;
}
