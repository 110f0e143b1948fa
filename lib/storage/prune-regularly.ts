import type { Outbox } from "./outbox.ts";

const SIX_HOURS = 6 * 60 * 60 * 1000;

/**
 * Removes what an outbox need not keep any longer, now and every six hours.
 *
 * @returns what stops it.
 */
export function pruneRegularly(o: {
  outbox: Pick<Outbox, "prune">;
  onFault: (error: unknown) => void;
  everyMs?: number;
}): () => void {
  const prune = () => void o.outbox.prune().catch(o.onFault);
  prune();
  const timer = setInterval(prune, o.everyMs ?? SIX_HOURS);
  timer.unref();
  return () => clearInterval(timer);
}
