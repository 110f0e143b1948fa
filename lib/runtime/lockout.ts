const FREE_FAILURES = 5;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15 * 60_000;
const FORGOTTEN_AFTER_MS = 60 * 60_000;
const MAXIMUM_PAIRS = 10_000;

/** Failures of one user from all addresses together before addresses that nobody knows have to take turns. */
const FREE_FAILURES_OF_ALL = 30;
/** Such an address is looked at only so long after the last failure, ms. */
const TURN_MS = 10_000;
/** Addresses kept per user from which a sign-in succeeded. */
const MAXIMUM_KNOWN = 64;

type Failures = { failures: number; lastAt: number };

/** Counts failed sign-ins per user and address, and says how long the pair has to wait before the next try is looked at. */
export interface Lockout {
  /** Asks for a try. @returns milliseconds to wait; 0 when it is to be looked at now. */
  ask(user: string, address: string): number;
  failed(user: string, address: string): void;
  succeeded(user: string, address: string): void;
  /** The user is there with a session: the address is known from now on. */
  seen(user: string, address: string): void;
  /** Forgets every failure of a user. */
  forgive(user: string): void;
}

/**
 * Five failures are free; from then on each doubles the wait, from one second to a quarter of an hour. A pair is
 * forgotten an hour after its last failure. Per pair, because a lock per user would let anybody lock anybody out.
 *
 * So that many addresses cannot guess one user's password together, failures are counted per user as well: after thirty
 * within the hour, addresses from which the user never signed in are looked at one each ten seconds, whoever of them
 * comes first. Nobody is shut out by that: known addresses are not concerned, a try that is not looked at makes no wait
 * longer, and the wait is never more than the ten seconds.
 */
export function createLockout(now: () => number): Lockout {
  const pairs = createFailures(now);
  const users = createFailures(now);
  const known = createKnownAddresses();
  const keyOf = (user: string, address: string) => `${user}\n${address}`;

  return {
    ask(user, address) {
      const pair = pairs.get(keyOf(user, address));
      const own = pair === undefined ? 0 : pair.lastAt + waitAfter(pair.failures) - now();
      if (own > 0) return own;
      const all = users.get(user);
      if (all === undefined || all.failures < FREE_FAILURES_OF_ALL || known.has(user, address)) return 0;
      const turn = all.lastAt + TURN_MS - now();
      if (turn > 0) return turn;
      // Taken now and not when it has failed, or many at the same moment would all have it.
      all.lastAt = now();
      return 0;
    },
    failed(user, address) {
      pairs.add(keyOf(user, address));
      // A user who mistypes at the own desk makes nobody else wait.
      if (!known.has(user, address)) users.add(user);
    },
    succeeded(user, address) {
      pairs.delete(keyOf(user, address));
      known.add(user, address);
    },
    seen: known.add,
    forgive(user) {
      users.delete(user);
      pairs.deleteAll((key) => key.startsWith(`${user}\n`));
    },
  };
}

/** Failures by key, the longest ago first, each forgotten an hour after the last. */
function createFailures(now: () => number) {
  const entries = new Map<string, Failures>();
  const get = (key: string) => {
    const entry = entries.get(key);
    return entry === undefined || now() - entry.lastAt > FORGOTTEN_AFTER_MS ? undefined : entry;
  };
  return {
    get,
    add(key: string) {
      const before = get(key);
      // Deleted first, so that the map stays in the order of the last failure and the oldest is the first.
      entries.delete(key);
      entries.set(key, { failures: (before?.failures ?? 0) + 1, lastAt: now() });
      if (entries.size > MAXIMUM_PAIRS) entries.delete(entries.keys().next().value ?? key);
    },
    delete: (key: string) => void entries.delete(key),
    deleteAll(which: (key: string) => boolean) {
      for (const key of entries.keys()) if (which(key)) entries.delete(key);
    },
  };
}

/** From where each user has signed in; in memory alone, since it says where people are. */
function createKnownAddresses() {
  const known = new Map<string, Set<string>>();
  return {
    has: (user: string, address: string) => known.get(user)?.has(address) === true,
    add(user: string, address: string) {
      const addresses = known.get(user) ?? new Set();
      addresses.delete(address);
      addresses.add(address);
      const [oldest] = addresses;
      if (addresses.size > MAXIMUM_KNOWN && oldest !== undefined) addresses.delete(oldest);
      known.set(user, addresses);
    },
  };
}

function waitAfter(failures: number): number {
  if (failures < FREE_FAILURES) return 0;
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - FREE_FAILURES, 20));
}
