import { schedule } from "node-cron";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Verification } from "./verification.ts";

/**
 * Verifies the book once a night, never twice at once.
 *
 * @param o.at - wall time "HH:MM" in the zone `tz`.
 * @returns what stops it.
 */
export function verifyNightly(o: {
  at: string;
  tz: string;
  verification: Verification;
  log: Logger;
}): () => Promise<void> {
  const [hour, minute] = o.at.split(":").map(Number);
  const task = schedule(`${minute} ${hour} * * *`, () => verifyOnce(o), { timezone: o.tz, noOverlap: true });
  return async () => {
    await task.destroy();
  };
}

/** One nightly verification; its failure is a log line of level error and shows in `/readyz`. Never rejects. */
export async function verifyOnce(o: { verification: Verification; log: Logger }): Promise<void> {
  try {
    const report = await o.verification.run({ why: "nightly", actor: { sub: "audit", auth: "service" } });
    const { ok, size, damagedCount, damaged } = report;
    if (ok) o.log.info({ size }, "the book verified");
    else o.log.error({ size, damagedCount, damaged: damaged.slice(0, 10) }, "the nightly verification found damage");
  } catch (error) {
    o.log.error({ err: error }, "the nightly verification failed");
  }
}
