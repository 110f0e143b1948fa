import type { AedesClient } from "./aedes-internals.ts";
import { type BadFrame, createFrameGuard } from "./frame-guard.ts";

/**
 * Stops reading a connection that announces a frame beyond its bound, before Aedes's parser keeps any of it: bare, the
 * parser collects whatever length is declared, and before anybody has signed in.
 *
 * @param o.onBad - called once, and must end the connection.
 */
export function guardFrames(
  client: Pick<AedesClient, "_parser">,
  o: { limit: () => number; onBad: (bad: BadFrame) => void },
): void {
  const guard = createFrameGuard(o.limit);
  const parse = client._parser.parse.bind(client._parser);
  let ended = false;
  client._parser.parse = (chunk) => {
    if (ended) return 0;
    const bad = guard.look(chunk);
    if (bad === null) return parse(chunk);
    ended = true;
    o.onBad(bad);
    return 0;
  };
}
