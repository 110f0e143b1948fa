import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Metric } from "../../lib/runtime/metrics.ts";
import { callerOf, plainAddress } from "./caller.ts";
import { createRates, type Rate } from "./rates.ts";

/** How much is asked of a witness at most. */
export type AskingLimits = {
  address: AskingLimit;
  all: AskingLimit;
};

/** `open`: connections at a time. */
type AskingLimit = { requests: Rate; connections: Rate; open: number };

/**
 * A log asks once a second while it grows: one address may stand for ten plants with two logs each. All together take a
 * tenth of a small computer's core.
 */
export const ASKING_LIMITS: AskingLimits = {
  address: { requests: { burst: 60, perSecond: 20 }, connections: { burst: 60, perSecond: 20 }, open: 32 },
  all: { requests: { burst: 400, perSecond: 200 }, connections: { burst: 400, perSecond: 200 }, open: 512 },
};

/** Keeps any number of callers from taking the time of those who have something to ask. */
export interface AskingGate {
  /** A connection has come in. One that is too many is ended, before it costs a handshake. */
  enter(socket: Socket): void;
  /** @returns null for a request that may be answered; the status to refuse it with: 429 its address, 503 all ask too often. */
  refusalOf(request: IncomingMessage): 429 | 503 | null;
  figures: Metric[];
}

const ALL = "all";

/**
 * When all places are taken, the connection that has been quiet for the longest gives way: who asks does it within
 * milliseconds, and connections that only lie there lock nobody out.
 *
 * @param o.proxies - addresses of proxies before this port: they name who asks, and have as many connections as they like.
 * @param o.clock - ms that only go forward.
 */
export function createAskingGate(o: {
  limits?: AskingLimits;
  proxies: readonly string[];
  clock: () => number;
}): AskingGate {
  const { address, all } = o.limits ?? ASKING_LIMITS;
  const proxies = new Set(o.proxies.map(plainAddress));
  const requests = { address: createRates(address.requests, o.clock), all: createRates(all.requests, o.clock) };
  const connections = {
    address: createRates(address.connections, o.clock),
    all: createRates(all.connections, o.clock),
  };
  const open = new Map<string, number>();
  /** By {@link endOf}, the one that has been quiet for the longest first. */
  const sockets = new Map<string, Socket>();
  const turnedAway = { connection: 0, address: 0, all: 0 };

  function mayConnect(caller: string, isProxy: boolean): boolean {
    if (isProxy) return true;
    // The address first: what one asks too often is not to count against all.
    return (open.get(caller) ?? 0) < address.open && connections.address.take(caller) && connections.all.take(ALL);
  }

  function makeRoom(): void {
    for (const [end, quiet] of sockets) {
      if (sockets.size < all.open) return;
      sockets.delete(end);
      turnAway(quiet);
    }
  }

  function turnAway(socket: Socket): void {
    turnedAway.connection += 1;
    socket.destroy();
  }

  function heardOf(end: string): void {
    const socket = sockets.get(end);
    if (socket === undefined) return;
    sockets.delete(end);
    sockets.set(end, socket);
  }

  function leave(caller: string, end: string, socket: Socket): void {
    // Its port may be another connection's by now.
    if (sockets.get(end) === socket) sockets.delete(end);
    const left = (open.get(caller) ?? 1) - 1;
    if (left === 0) open.delete(caller);
    else open.set(caller, left);
  }

  return {
    enter(socket) {
      const remote = socket.remoteAddress;
      const caller = callerOf({ remote, forwardedFor: undefined }, proxies);
      if (!mayConnect(caller, proxies.has(plainAddress(remote ?? "")))) return turnAway(socket);
      makeRoom();
      const end = endOf(socket);
      sockets.set(end, socket);
      open.set(caller, (open.get(caller) ?? 0) + 1);
      socket.once("close", () => leave(caller, end, socket));
    },
    refusalOf({ socket, headers }) {
      heardOf(endOf(socket));
      const forwarded = headers["x-forwarded-for"];
      const forwardedFor = Array.isArray(forwarded) ? forwarded.join(",") : forwarded;
      if (!requests.address.take(callerOf({ remote: socket.remoteAddress, forwardedFor }, proxies))) {
        turnedAway.address += 1;
        return 429;
      }
      if (requests.all.take(ALL)) return null;
      turnedAway.all += 1;
      return 503;
    },
    figures: [
      {
        name: "rastro_witness_turned_away_total",
        help: "Connections and requests that were refused, by the limit that they ran into.",
        kind: "counter",
        labels: ["limit"],
        read: () => Object.entries(turnedAway).map(([limit, value]) => ({ labels: { limit }, value })),
      },
    ],
  };
}

/** The other end of a connection: with TLS a request has another socket than the one that came in. */
function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
