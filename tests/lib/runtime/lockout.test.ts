import { expect, it } from "vitest";
import { createLockout } from "../../../lib/runtime/lockout.ts";

const HERE = "10.0.0.1";

function start() {
  const clock = { now: 1_795_503_360_738 };
  const lockout = createLockout(() => clock.now);
  /** As many failures at one user, each from an address of its own. @returns how many were looked at. */
  const guessFrom = (addresses: number, from = 1) => {
    let looked = 0;
    for (let index = 0; index < addresses; index += 1) {
      const address = `192.168.${from}.${index}`;
      if (lockout.ask("maria", address) > 0) continue;
      looked += 1;
      lockout.failed("maria", address);
    }
    return looked;
  };
  return { clock, lockout, guessFrom };
}

it("many addresses together get thirty guesses at a user, and then one each ten seconds", () => {
  const { clock, guessFrom } = start();
  expect(guessFrom(250)).toBe(30);
  for (let turn = 1; turn <= 20; turn += 1) {
    clock.now += 10_000;
    expect(guessFrom(250, turn + 1)).toBe(1);
  }
});

it("guesses at the same moment do not share a turn", () => {
  const { clock, lockout, guessFrom } = start();
  guessFrom(250);
  clock.now += 10_000;
  // All of them are asked before the first has failed.
  const looked = [1, 2, 3, 4].filter((index) => lockout.ask("maria", `172.16.0.${index}`) === 0);
  expect(looked).toHaveLength(1);
});

it("an address from which the user signed in before does not notice, by password or by session", () => {
  const { lockout, guessFrom } = start();
  lockout.succeeded("maria", HERE);
  lockout.seen("maria", "10.0.0.2");
  guessFrom(250);
  expect([lockout.ask("maria", HERE), lockout.ask("maria", "10.0.0.2")]).toEqual([0, 0]);
  // It has its own five tries, as ever.
  for (let count = 0; count < 5; count += 1) lockout.failed("maria", HERE);
  expect(lockout.ask("maria", HERE)).toBe(1000);
  expect(lockout.ask("joao", "192.168.1.1")).toBe(0);
});

it("nobody is shut out: tries that are not looked at make the wait no longer, and it ends by itself", () => {
  const { clock, lockout, guessFrom } = start();
  guessFrom(250);
  for (let second = 0; second < 9; second += 1) {
    clock.now += 1000;
    expect(guessFrom(200, second + 2)).toBe(0);
  }
  clock.now += 1000;
  expect(lockout.ask("maria", "10.9.9.9")).toBe(0);
  clock.now += 60 * 60_000 + 1;
  expect(guessFrom(20, 99)).toBe(20);
});

it("forgives a user everything at once", () => {
  const { lockout, guessFrom } = start();
  guessFrom(40);
  for (let count = 0; count < 6; count += 1) lockout.failed("maria", HERE);
  lockout.failed("joao", HERE);
  lockout.forgive("maria");
  expect(lockout.ask("maria", HERE)).toBe(0);
  expect(guessFrom(40, 7)).toBe(30);
});
