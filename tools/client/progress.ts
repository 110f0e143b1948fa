/** A bar that fills as work is done. */
export interface Progress {
  /**
   * @param note - what is said beside the bar.
   * @param total - where it is not what it was thought to be.
   */
  update(done: number, note: string, total?: number): void;
  /** Takes the bar away. */
  stop(): void;
}

const SILENT: Progress = { update: () => {}, stop: () => {} };

/** Shows on a terminal how far something has come; writes nothing anywhere else. */
export async function startProgress(stream: NodeJS.WriteStream, what: string, total: number): Promise<Progress> {
  if (!stream.isTTY) return SILENT;
  const { SingleBar } = await import("cli-progress");
  const bar = new SingleBar({
    stream,
    format: `${what} [{bar}] {value}/{total} {note}`,
    barCompleteChar: "=",
    barIncompleteChar: "-",
    clearOnComplete: true,
    fps: 10,
    // Its own handler would swallow the first Ctrl-C.
    gracefulExit: false,
  });
  bar.start(total, 0, { note: "" });
  return {
    update(done, note, total) {
      if (total !== undefined) bar.setTotal(total);
      bar.update(done, { note });
    },
    stop: () => bar.stop(),
  };
}
