import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSignIn, type DirectoryPort } from "../../../edge-agent/station/sign-in.ts";
import { openVerifiers, type Verifiers } from "../../../edge-agent/station/verifiers.ts";
import { type ErrorCode, RastroError } from "../../../lib/contracts/errors.ts";
import { createLockout } from "../../../lib/runtime/lockout.ts";
import { openPasswords } from "../../../lib/runtime/passwords.ts";
import { CHEAP } from "../../support/directory.ts";
import { SILENT } from "../../support/silent.ts";

const SUB = `p-${"a".repeat(32)}`;
const GOOD = { user: "maria", password: "correct horse" };
const WRONG = { user: "maria", password: "wrong horse" };
const passwords = openPasswords({ cost: CHEAP, random: randomBytes });

let folder: string;
let now: number;
let verifiers: Verifiers;
/** What the hub answers: lets Maria in unless it says something else. */
let answer: ErrorCode | null;
let refused: { user: string; code: ErrorCode }[];

beforeEach(async () => {
  now = Date.parse("2026-11-24T08:00:00.000Z");
  folder = await mkdtemp(join(tmpdir(), "rastro-station-"));
  const kept = { file: join(folder, "station.json"), keepMs: 7 * 86_400_000, passwords: () => passwords };
  verifiers = await openVerifiers({ ...kept, now: () => now, log: SILENT });
  answer = null;
  refused = [];
});
afterEach(() => rm(folder, { recursive: true }));

function hub(): DirectoryPort {
  return {
    async signIn({ user, password }) {
      const code = answer ?? (password === GOOD.password ? null : "bad_credentials");
      if (code !== null) throw new RastroError({ code, message: "the hub's own words" });
      const expiresAt = "2026-12-24T08:00:00.000Z";
      return { token: "a token", session: "s-1", user, profile: "operator", expiresAt };
    },
    sessionOwner: async ({ name: user }) => ({ session: "s-1", user, sub: SUB, profile: "operator" }),
    signOut: async () => undefined,
  };
}

function station() {
  return createSignIn({
    directory: hub,
    verifiers,
    lockout: createLockout(() => now),
    onRefused: (one) => void refused.push(one),
    app: "edge-agent@test",
    log: SILENT,
  });
}

const code = (promise: Promise<unknown>) => promise.then(String, (error: RastroError) => error.code);

describe("signing in at a station", () => {
  test("with the hub: by the hub, and marked so", async () => {
    expect(await station()(GOOD)).toMatchObject({ sub: SUB, auth: "station", hub: { token: "a token" } });
  });

  test("without the hub: by what the last sign-in at it left, and marked so", async () => {
    const signIn = station();
    await signIn(GOOD);
    answer = "not_reachable";
    expect(await signIn(GOOD)).toEqual({ user: "maria", sub: SUB, profile: "operator", auth: "offline", hub: null });
  });

  test.each(["not_reachable", "timeout", "malformed", "internal"] as const)(
    "%s is no answer of a hub",
    async (none) => {
      const signIn = station();
      await signIn(GOOD);
      answer = none;
      expect(await signIn(GOOD)).toMatchObject({ auth: "offline" });
    },
  );

  test.each(["locked_out", "busy", "not_allowed", "bad_credentials"] as const)(
    "%s of the hub stands, whatever is kept here",
    async (no) => {
      const signIn = station();
      await signIn(GOOD);
      answer = no;
      expect(await code(signIn(GOOD))).toBe(no);
    },
  );

  test("without the hub nobody who has not been here with it", async () => {
    answer = "not_reachable";
    expect(await code(station()(GOOD))).toBe("bad_credentials");
    expect(refused).toEqual([{ user: "maria", code: "bad_credentials" }]);
  });

  test("a password that the hub refuses although it was good here is good here no more", async () => {
    const signIn = station();
    await signIn(GOOD);
    answer = "bad_credentials";
    await code(signIn(GOOD));
    answer = "not_reachable";
    expect(await code(signIn(GOOD))).toBe("bad_credentials");
  });

  test("somebody else's mistyping takes nobody's sign-in away", async () => {
    const signIn = station();
    await signIn(GOOD);
    expect(await code(signIn(WRONG))).toBe("bad_credentials");
    answer = "not_reachable";
    expect(await signIn(GOOD)).toMatchObject({ auth: "offline" });
  });

  test("guessing without the hub is slowed down, for the right password too", async () => {
    const signIn = station();
    await signIn(GOOD);
    answer = "not_reachable";
    for (let guess = 0; guess < 5; guess += 1) expect(await code(signIn(WRONG))).toBe("bad_credentials");
    expect(await code(signIn(GOOD))).toBe("locked_out");
    now += 1000;
    expect(await signIn(GOOD)).toMatchObject({ auth: "offline" });
    expect(refused.map((one) => one.code)).toEqual([...Array<string>(5).fill("bad_credentials"), "locked_out"]);
  });
});
