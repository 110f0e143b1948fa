const ASK_EVERY_MS = 250;

/**
 * Calls `stop` when the npm that started this process is gone without having passed on a signal: killed, or with a
 * shell between that keeps signals to itself. Whoever starts the stack without npm may go away as they like.
 *
 * @param o.parent - the present parent's process id; it changes when the parent dies (POSIX hands orphans on).
 * @returns a function that stops watching.
 */
export function onNpmGone(o: { env: NodeJS.ProcessEnv; parent: () => number; stop: () => void }): () => void {
  if (o.env["npm_lifecycle_event"] === undefined || process.platform === "win32") return () => {};
  const npm = o.parent();
  const timer = setInterval(() => {
    if (o.parent() === npm) return;
    clearInterval(timer);
    o.stop();
  }, ASK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
