import { availableParallelism } from "node:os";
import argon2 from "argon2";
import { RastroError } from "../contracts/errors.ts";

/** Each hash holds a thread of the pool that the store needs as well: with more at once everything would wait. */
const MOST_AT_ONCE = 2;
const WAITING = 16;

/** Memory in KiB and rounds of argon2id; the package's own defaults (64 MiB, 3) when left out. */
export type PasswordCost = { memoryCost: number; timeCost: number };

export interface Passwords {
  /** @throws RastroError `busy` when too many wait. */
  hash(password: string): Promise<string>;
  /** Takes the same time when `hash` is undefined (no such person), and is false then. @throws RastroError `busy`. */
  verify(hash: string | undefined, password: string): Promise<boolean>;
}

/** A hash keeps a core busy for a quarter of a second: half of the cores stay with machines and books. */
export function hashesAtOnce(cores: number): number {
  return Math.max(1, Math.min(MOST_AT_ONCE, Math.floor(cores / 2)));
}

/** argon2id (RFC 9106), at most two computations at a time, one where there are few cores, and a bounded queue. */
export function openPasswords(o: { cost?: PasswordCost; random: (bytes: number) => Buffer }): Passwords {
  const gate = createGate(hashesAtOnce(availableParallelism()), WAITING);
  // One lane, so that one hash is one thread.
  const options = { type: argon2.argon2id, parallelism: 1, ...o.cost } as const;
  // Ready long before somebody is there to sign in, and the start need not wait for it.
  const nobody = argon2.hash(o.random(16).toString("hex"), options);
  nobody.catch(() => undefined);
  return {
    hash: (password) => gate(() => argon2.hash(same(password), options)),
    verify: (hash, password) =>
      gate(async () => (await argon2.verify(hash ?? (await nobody), same(password))) && hash !== undefined),
  };
}

/** Keyboards differ in how they compose an accented letter; the password is the same. */
function same(password: string): string {
  return password.normalize("NFC");
}

function createGate(atOnce: number, waiting: number): <T>(task: () => Promise<T>) => Promise<T> {
  const queue: (() => void)[] = [];
  let running = 0;
  const enter = () => {
    if (running < atOnce) {
      running += 1;
      return Promise.resolve();
    }
    if (queue.length >= waiting) throw tooMany();
    return new Promise<void>((resolve) => void queue.push(resolve));
  };
  const leave = () => {
    const next = queue.shift();
    if (next === undefined) running -= 1;
    else next();
  };
  return async (task) => {
    await enter();
    try {
      return await task();
    } finally {
      leave();
    }
  };
}

function tooMany(): RastroError {
  return new RastroError({
    code: "busy",
    message: "Checking the password failed: too many sign-ins wait already; try again in a few seconds.",
  });
}
