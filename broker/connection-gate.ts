import type { Duplex } from "node:stream";
import type { ConnectionLimits } from "../lib/contracts/connection-limits.ts";
import type { Principal } from "../lib/contracts/directory.ts";
import { isLoopback } from "./loopback.ts";

/** Which limit a connection ran into. `gave-way`: it was the longest there without a sign-in when all was taken. */
export type Full = "address" | "total" | "principal" | "people" | "gave-way";

/** A connection's place, from its first byte to its end. */
type Place = { conn: Duplex; address: string; name: string | null; isPerson: boolean };

/**
 * Counts connections, whether they have signed in or not, and refuses what would be too many. A connection leaves by
 * itself when it closes.
 */
export interface ConnectionGate {
  /** A connection has come in. @returns false when it is refused, and ended with it. */
  enter(conn: Duplex, address: string): boolean;
  /** It goes on as another stream, and comes from another address than it seemed. @returns false when that has too many. */
  becomes(conn: Duplex, stream: Duplex, address: string): boolean;
  /** Somebody has signed in on it. @returns which limit speaks against it, else null. */
  admit(stream: Duplex, principal: Pick<Principal, "name" | "kind">): Full | null;
}

/**
 * When all places are taken, who has been there longest without signing in gives way: a machine's CONNECT comes within
 * milliseconds, those of a flood never. And people get no more than leaves the machines their share, so neither silent
 * connections nor a crowd of browsers locks a machine out.
 *
 * @param o.onRefused - told of each connection that is refused before its sign-in.
 */
export function createConnectionGate(o: {
  limits: ConnectionLimits;
  onRefused: (address: string, full: Full) => void;
}): ConnectionGate {
  const { limits } = o;
  const places = new WeakMap<Duplex, Place>();
  const addresses = createCounts();
  const names = createCounts();
  /** Who has not signed in yet, the longest there first. */
  const strangers = new Set<Place>();
  let open = 0;
  let people = 0;

  const mostOf = (address: string) => (isLoopback(address) ? limits.loopback : limits.address);

  function leave(place: Place): void {
    if (places.get(place.conn) !== place) return;
    places.delete(place.conn);
    open -= 1;
    strangers.delete(place);
    addresses.remove(place.address);
    if (place.name !== null) names.remove(place.name);
    if (place.isPerson) people -= 1;
  }

  function refuse(conn: Duplex, address: string, full: Full): false {
    o.onRefused(address, full);
    conn.destroy();
    return false;
  }

  function makeRoom(): boolean {
    const [oldest] = strangers;
    if (oldest === undefined) return false;
    leave(oldest);
    refuse(oldest.conn, oldest.address, "gave-way");
    return true;
  }

  return {
    enter(conn, address) {
      if (addresses.of(address) >= mostOf(address)) return refuse(conn, address, "address");
      if (open >= limits.total && !makeRoom()) return refuse(conn, address, "total");
      const place: Place = { conn, address, name: null, isPerson: false };
      open += 1;
      addresses.add(address);
      strangers.add(place);
      places.set(conn, place);
      conn.once("close", () => leave(place));
      return true;
    },
    becomes(conn, stream, address) {
      const place = places.get(conn);
      if (place === undefined) return false;
      places.set(stream, place);
      if (address === place.address) return true;
      if (addresses.of(address) >= mostOf(address)) {
        o.onRefused(address, "address");
        return false;
      }
      addresses.remove(place.address);
      addresses.add(address);
      place.address = address;
      return true;
    },
    admit(stream, { name, kind }) {
      const place = places.get(stream);
      // Closed meanwhile: the broker finds that out by itself.
      if (place === undefined || !strangers.has(place)) return null;
      if (names.of(name) >= limits.principal) return "principal";
      if (kind === "person" && people >= limits.total - limits.machines) return "people";
      strangers.delete(place);
      place.name = name;
      place.isPerson = kind === "person";
      names.add(name);
      if (place.isPerson) people += 1;
      return null;
    },
  };
}

function createCounts() {
  const counts = new Map<string, number>();
  const of = (key: string) => counts.get(key) ?? 0;
  return {
    of,
    add: (key: string) => void counts.set(key, of(key) + 1),
    remove(key: string) {
      if (of(key) <= 1) counts.delete(key);
      else counts.set(key, of(key) - 1);
    },
  };
}
