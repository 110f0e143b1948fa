import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import { RastroError } from "../lib/contracts/errors.ts";
import { forwardMqtt, type ForwardMqttOptions } from "./forward-mqtt.ts";

export type Listening = { port: number; close(): Promise<void> };

/**
 * Opens the console's port.
 *
 * @param o.mqtt - where WebSocket connections of `/mqtt` go; without it there are none.
 * @throws RastroError `port_taken`, with what to do.
 */
export async function listen(
  app: Hono,
  o: { host: string; port: number; mqtt?: ForwardMqttOptions },
): Promise<Listening> {
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  const forwarded = o.mqtt === undefined ? null : forwardMqtt(server, o.mqtt);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(explain(error, o)));
    server.listen(o.port, o.host, () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      forwarded?.close();
      return close(server);
    },
  };
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    // A reader that never ends must not hold up the stop of everything else.
    setTimeout(() => server.closeAllConnections(), 1000).unref();
  });
}

function explain(error: NodeJS.ErrnoException, { host, port }: { host: string; port: number }): Error {
  if (error.code !== "EADDRINUSE") return error;
  const message =
    `Opening port ${port} of ${host} for the console failed: another program listens there; ` +
    `stop it, or choose another port with RASTRO_HTTP_PORT.`;
  return new RastroError(
    { code: "port_taken", message, field: "RASTRO_HTTP_PORT", given: String(port) },
    { cause: error },
  );
}
