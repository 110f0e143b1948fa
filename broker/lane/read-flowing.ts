import { Socket } from "node:net";
import type { AedesClient } from "../aedes-internals.ts";

/**
 * Lets the socket of a connection push its chunks to `onChunk` instead of Aedes asking for them: a chunk costs one call
 * and no turn of the stream's own bookkeeping. What `onChunk` hands to Aedes's parser keeps its back-pressure: while
 * packets of the connection are being handled, its socket rests.
 *
 * Only for sockets, once the connection is `connected`. Does nothing for other streams.
 */
export function readFlowing(client: AedesClient, onChunk: (chunk: Buffer) => void): void {
  const { conn } = client;
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
    if (client.closed) return;
    onChunk(chunk);
    rest();
  });
}
