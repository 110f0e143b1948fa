import { median } from "../broker/rows.ts";
import { type AppenderKind, BARE_PUT, BOOK, FLOOR } from "./appenders.ts";
import { callFor, type Pace } from "./callers.ts";
import { postgres } from "./postgres.ts";
import { type Bound, type Comparison, inFolder } from "./rows.ts";
import { sqlite } from "./sqlite.ts";

type Options = { seconds: number; rounds: number };

/** What the book is held against at so many callers. */
export const PEERS = ["floor", "sqlite", "postgres"] as const;
export type Peer = (typeof PEERS)[number];

/** Records that are prepared, each of which comes again: so many that no block of a table has one twice, and few enough
 * that the collector has next to nothing to look through. */
const PREPARED = 4096;
/** For this share of the time it runs before it is measured: code is compiled, connections are warm. */
const WARM_UP_SHARE = 0.25;

const AGAINST_FLOOR: Bound = { is: "at least", must: 0.5, aim: 0.8 };
const AGAINST_DATABASES: Bound = { is: "at least", must: 1, aim: 3 };
const LATENCY: Bound = { is: "at most", must: 2, aim: 1.3 };

/** a, b: durable appends a second, beside the floor and beside databases with one insert a record. */
export async function appendRow(o: Options & { callers: number; peers: readonly Peer[] }): Promise<Comparison[]> {
  const kinds = { floor: FLOOR, sqlite: await sqlite(), postgres: await postgres() };
  const wanted = o.peers.map((peer) => ({ peer, kind: kinds[peer] }));
  const present = wanted.flatMap(({ kind }) => kind ?? []);
  const [book, ...others] = await measureInTurn(o, [BOOK, ...present]);
  const theirs = new Map(present.map((kind, index) => [kind.name, others[index]]));
  return wanted.map(({ peer, kind }) => ({
    row: `appends, ${o.callers} callers`,
    ours: medianPace(book),
    unit: "/s",
    other: kind?.name ?? NAMES[peer],
    theirs: kind === null ? null : medianPace(theirs.get(kind.name)),
    bound: peer === "floor" ? AGAINST_FLOOR : AGAINST_DATABASES,
    remark: kind === null ? `${NAMES[peer]} is not installed` : `${spread(book)} in the rounds`,
  }));
}

const NAMES: Record<Peer, string> = { floor: "floor", sqlite: "SQLite", postgres: "PostgreSQL" };

/** c: how long a caller alone waits, beside a bare synced put of the same bytes. */
export async function latencyRow(o: Options): Promise<Comparison[]> {
  const [book, put] = await measureInTurn({ ...o, callers: 1 }, [BOOK, BARE_PUT]);
  return [
    {
      row: "acknowledgement, 1 caller",
      ours: median((book ?? []).map(({ p50Ms }) => p50Ms)),
      unit: "ms",
      other: BARE_PUT.name,
      theirs: median((put ?? []).map(({ p50Ms }) => p50Ms)),
      bound: LATENCY,
      remark: `p99 ${median((book ?? []).map(({ p99Ms }) => p99Ms)).toFixed(2)} ms`,
    },
  ];
}

/** Each in turn, round by round and each time in a new folder, so that what else happens on the machine meets all. */
async function measureInTurn(
  o: Options & { callers: number },
  kinds: readonly AppenderKind<unknown>[],
): Promise<Pace[][]> {
  const paces: Pace[][] = kinds.map(() => []);
  for (let round = 0; round < o.rounds; round += 1) {
    for (const [index, kind] of kinds.entries()) paces[index]?.push(await measure(kind, o));
  }
  return paces;
}

function measure<T>(kind: AppenderKind<T>, o: Options & { callers: number }): Promise<Pace> {
  const prepared = Array.from({ length: PREPARED }, (_, n) => kind.prepare(n));
  return inFolder(async (folder) => {
    const appender = await kind.open(folder, o.callers);
    const call = (one: T, n: number) => appender.append(one, n);
    try {
      const { calls } = await callFor({ ...o, seconds: o.seconds * WARM_UP_SHARE, prepared, first: 0, call });
      return await callFor({ ...o, prepared, first: calls, call });
    } finally {
      await appender.close();
    }
  });
}

function medianPace(paces: readonly Pace[] | undefined): number {
  return median((paces ?? []).map(({ perSecond }) => perSecond));
}

function spread(paces: readonly Pace[] | undefined): string {
  const all = (paces ?? []).map(({ perSecond }) => perSecond);
  return `${Math.round(Math.min(...all))} to ${Math.round(Math.max(...all))}`;
}
