import type { Readable } from "node:stream";

/** A line that never ends is cut here, so that a child cannot fill the memory of the stack. */
const LONGEST_LINE = 1024 * 1024;

/**
 * Calls `take` with each line of a stream, without its end. What the stream ends with counts as a line too.
 * Only "\n" ends a line (node:readline also splits at U+2028, which JSON allows inside a string).
 */
export function onLines(stream: Readable, take: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line.endsWith("\r") ? line.slice(0, -1) : line);
    if (rest.length > LONGEST_LINE) {
      take(rest);
      rest = "";
    }
  });
  stream.on("end", () => {
    if (rest !== "") take(rest);
    rest = "";
  });
}
