const FRAMES = ["|", "/", "-", "\\"] as const;
const FRAME_MS = 120;

/** Shows on a terminal that something goes on, and for how long; writes nothing anywhere else. */
export function startSpinner(stream: NodeJS.WriteStream, what: string): { stop(): void } {
  if (!stream.isTTY) return { stop: () => {} };
  const begun = Date.now();
  let frame = 0;
  const draw = () => {
    const seconds = Math.floor((Date.now() - begun) / 1000);
    stream.write(`\r${FRAMES[frame++ % FRAMES.length]} ${what} (${seconds} s) `);
  };
  draw();
  const timer = setInterval(draw, FRAME_MS);
  return {
    stop: () => {
      clearInterval(timer);
      // ECMA-48: to the first column, erase the line.
      stream.write("\r\u001B[2K");
    },
  };
}
