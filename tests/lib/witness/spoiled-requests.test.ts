import * as fc from "fast-check";
import { expect, it } from "vitest";
import { createWitness } from "../../../lib/witness/witness.ts";
import { requestText } from "../../../lib/witness/request-text.ts";
import { SILENT } from "../../support/silent.ts";
import { keyOfSeed } from "../ledger/keys.ts";
import { memoryNotes } from "./memory-notes.ts";
import { history, LOG_KEY, ORIGIN } from "./test-log.ts";

const honest = history("a", { size: 40 });
const WHOLE = Buffer.from(honest.request(9, 31));

const spoiled = fc
  .tuple(fc.nat(WHOLE.length - 1), fc.nat(6), fc.uint8Array({ maxLength: 6 }))
  .map(([at, taken, put]) => Buffer.concat([WHOLE.subarray(0, at), put, WHOLE.subarray(at + taken)]));

it("no spoiled request is cosigned for anything but what the log has signed, and none is a fault", async () => {
  const { notes, state } = memoryNotes();
  const start = () =>
    createWitness({
      name: "ipc-07/witness",
      privateKey: keyOfSeed(7),
      logs: { keys: () => [LOG_KEY] },
      notes,
      onFinding: () => {},
      now: () => 1_795_500_000_000,
      log: SILENT,
    });
  await start().addCheckpoint(honest.request(0, 9));
  const before = state.kept.get(ORIGIN) ?? "";
  await fc.assert(
    fc.asyncProperty(fc.oneof(spoiled, fc.uint8Array({ maxLength: 400 })), async (bytes) => {
      const witness = start();
      const answer = await witness.addCheckpoint(requestText(bytes) ?? "");
      expect([200, 400, 403, 404, 409, 422]).toContain(answer.status);
      const head = (await witness.cosigned(ORIGIN))?.checkpoint.head;
      expect(head?.root.equals(honest.root(head.size))).toBe(true);
      state.kept.set(ORIGIN, before);
    }),
    { numRuns: 1500 },
  );
});
