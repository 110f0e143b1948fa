import { once } from "node:events";
import { connect, type Socket } from "node:net";

export type RawAnswer = { status: number; headers: Record<string, string>; body: string };

/** A connection on which exactly the given bytes are sent: for what no HTTP client would send. */
export async function openRawHttp(url: string) {
  const { hostname, port } = new URL(url);
  const socket: Socket = connect({ host: hostname, port: Number(port), noDelay: true });
  let buffered = Buffer.alloc(0);
  let ended = false;
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const look of waiting) look();
  };
  socket.on("data", (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk]);
    wake();
  });
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      ended = true;
      wake();
      resolve();
    });
  });
  await once(socket, "connect");

  function take(): RawAnswer | null {
    const answer = parseAnswer(buffered);
    if (answer === null) return null;
    buffered = buffered.subarray(answer.length);
    return answer;
  }

  return {
    socket,
    closed,
    send: (bytes: string | Buffer) => void socket.write(bytes),
    /** The next answer on this connection; null when it ends before. */
    next: () =>
      new Promise<RawAnswer | null>((resolve) => {
        const look = () => {
          const answer = take();
          if (answer === null && !ended) return;
          waiting.delete(look);
          resolve(answer);
        };
        waiting.add(look);
        look();
      }),
  };
}

export function post(path: string, body: string | Buffer, headers: Record<string, string> = {}): Buffer {
  const bytes = Buffer.from(body);
  const all = { host: "witness", "content-length": String(bytes.length), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n`), bytes]);
}

function parseAnswer(bytes: Buffer): (RawAnswer & { length: number }) | null {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) return null;
  const [first = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const length = end + 4 + Number(headers["content-length"] ?? 0);
  if (bytes.length < length) return null;
  return { status: Number(first.split(" ")[1]), headers, body: bytes.subarray(end + 4, length).toString(), length };
}
