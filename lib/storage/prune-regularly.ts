const SIX_HOURS = 6 * 60 * 60 * 1000;

/**
 * Removes what an outbox, or a log's checkpoints, need not keep any longer, now and every six hours.
 *
 * @returns what stops it.
 */
export function pruneRegularly(o: {
  kept: { prune(): Promise<unknown> };
  onFault: (error: unknown) => void;
  everyMs?: number;
}): () => void {
  const prune = () => void o.kept.prune().catch(o.onFault);
  prune();
  const timer = setInterval(prune, o.everyMs ?? SIX_HOURS);
  timer.unref();
  return () => clearInterval(timer);
}
