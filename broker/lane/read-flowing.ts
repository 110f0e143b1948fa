import { Socket } from "node:net";
import type { AedesClient } from "../aedes-internals.ts";

/**
 * Gives `onChunk` every chunk of a connection in place of Aedes's parser. A socket pushes them instead of being asked:
 * a chunk then costs one call and no turn of the stream's own bookkeeping. What `onChunk` hands on to the parser keeps
 * its back-pressure: while packets of the connection are being handled, its socket rests.
 *
 * Once the connection is `connected`.
 */
export function readFlowing(client: AedesClient, onChunk: (chunk: Buffer) => void): void {
  const { conn } = client;
  let pushed: Buffer | null = null;
  // Aedes still asks when the handling of a packet ends, and what a stream gives when asked it pushes as well.
  client._parser.parse = (chunk) => {
    if (chunk !== pushed) onChunk(chunk);
    return 0;
  };
  if (!(conn instanceof Socket) || client.closed) return;

  const nextBatch = client._nextBatch;
  let resting = false;
  client._nextBatch = (error) => {
    nextBatch(error);
    if (!resting || client._parsingBatch > 0 || client.closed) return;
    resting = false;
    conn.resume();
  };
  const rest = () => {
    if (resting || client._parsingBatch <= 0) return;
    resting = true;
    conn.pause();
  };

  conn.removeListener("readable", nextBatch);
  conn.on("data", (chunk: Buffer) => {
    pushed = chunk;
    if (client.closed) return;
    onChunk(chunk);
    rest();
  });
}
