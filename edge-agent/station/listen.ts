import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import type { Logger } from "../../lib/runtime/log.ts";
import { codeOf } from "../../lib/runtime/new-file.ts";
import type { Every } from "../every.ts";

const AGAIN_MS = 10_000;

export interface StationPort {
  /** Where the station is: `http://127.0.0.1:<port>`; null while it is nowhere. */
  url(): string | null;
  /** A sentence while the port cannot be had. */
  alarms(): string[];
  close(): Promise<void>;
}

/**
 * Serves the station on a port of loopback. A port that another program has is no reason to stop the status of a machine:
 * it is tried again each 10 seconds, and meanwhile it is an alarm.
 */
export async function listenForStation(o: {
  port: number;
  routes: Hono;
  every: Every;
  log: Logger;
}): Promise<StationPort> {
  const server = createAdaptorServer({ fetch: o.routes.fetch }) as Server;
  let trouble: string | null = null;
  const tryOnce = async () => {
    if (server.listening) return;
    const failure = await listen(server, o.port);
    const before = trouble;
    trouble = failure === null ? null : sentenceOf(failure, o.port);
    if (trouble !== null && trouble !== before) o.log.error({ err: failure }, trouble);
    if (trouble === null) o.log.info({ url: urlOf(server) }, "the station is open");
  };
  await tryOnce();
  const stop = o.every(AGAIN_MS, () => void tryOnce());
  return {
    url: () => urlOf(server),
    alarms: () => (trouble === null ? [] : [trouble]),
    close: () => {
      stop();
      return close(server);
    },
  };
}

function listen(server: Server, port: number): Promise<Error | null> {
  return new Promise((resolve) => {
    const failed = (error: Error) => {
      server.off("listening", listening);
      resolve(error);
    };
    const listening = () => {
      server.off("error", failed);
      resolve(null);
    };
    server.once("error", failed);
    server.once("listening", listening);
    server.listen(port, "127.0.0.1");
  });
}

function sentenceOf(error: Error, port: number): string {
  const why = codeOf(error) === "EADDRINUSE" ? "another program has the port" : error.message;
  return `the station is closed: listening on 127.0.0.1:${port} failed, ${why}; stop that program or set RASTRO_STATION_PORT`;
}

function urlOf(server: Server): string | null {
  const address = server.address() as AddressInfo | null;
  return address === null ? null : `http://127.0.0.1:${address.port}`;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    if (!server.listening) return resolve();
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
