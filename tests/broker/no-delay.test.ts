import { once } from "node:events";
import { connect, createServer } from "node:net";
import { expect, it, onTestFinished, vi } from "vitest";
import { openLink } from "../../lib/messaging/link.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { SILENT } from "../support/silent.ts";

/*
 * Without TCP_NODELAY a small packet waits for the peer's delayed acknowledgement of the one before. Node does not say
 * whether a socket has it, and how long a packet waits depends on the kernel, so the call itself is watched.
 */
async function watchNoDelay() {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as { port: number }).port, "127.0.0.1");
  await once(socket, "connect");
  const handle = (socket as unknown as { _handle: object })._handle;
  const calls = vi.spyOn(Object.getPrototypeOf(handle) as { setNoDelay(on: boolean): number }, "setNoDelay");
  onTestFinished(() => calls.mockRestore());
  socket.destroy();
  server.close();
  return () => new Set(calls.mock.contexts.filter((_, index) => calls.mock.calls[index]?.[0] === true)).size;
}

it("the hub sets TCP_NODELAY on what it accepts, our clients on what they open", async () => {
  const { hub } = await startPlainHub({ "ipc-01": "machine" }, { wsPort: 0 });
  const withNoDelay = await watchNoDelay();
  for (const url of [hub.url, hub.wsUrl ?? ""]) {
    const before = withNoDelay();
    const plain = connect(Number(new URL(url).port), "127.0.0.1");
    await once(plain, "connect");
    await vi.waitFor(() => expect(withNoDelay() - before).toBe(1));
    plain.destroy();
  }
  const before = withNoDelay();
  const link = openLink({
    url: hub.url,
    name: "ipc-01",
    password: () => "ipc-01-pass",
    log: SILENT,
    random: (bytes) => Buffer.alloc(bytes, 7),
  });
  onTestFinished(() => link.close());
  await link.whenConnected();
  expect(withNoDelay() - before).toBe(2);
});
