import { expect, it } from "vitest";
import { BEFORE_CONNECT, SIGNED_IN, signIn } from "../support/bad-input.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { isConnack } from "../support/raw-mqtt.ts";

it.for([
  ...BEFORE_CONNECT.map(([what, bytes]) => ({ what, bytes, first: null })),
  ...SIGNED_IN.map(([what, bytes]) => ({ what, bytes, first: signIn() })),
])("what ends a connection is told once: $what", async ({ bytes, first }) => {
  const { raw, access, hub } = await startPlainHub({ "ipc-b": "machine" });
  const connection = await raw();
  if (first !== null) {
    connection.sendBytes(first);
    await connection.next(isConnack);
    access.length = 0;
  }
  connection.sendBytes(bytes);
  await connection.closed;
  expect(access).toHaveLength(1);
  expect(access[0]?.kind).toMatch(/^(?:frame|connection)-refused$/);
  expect(hub.connected()).toBe(0);
});
