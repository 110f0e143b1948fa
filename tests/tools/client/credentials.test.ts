import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Session } from "../../../lib/contracts/directory.ts";
import { credentialsFile, storedSession, storeSession } from "../../../tools/client/credentials.ts";

let folder: string;
let env: NodeJS.ProcessEnv;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rastro-credentials-"));
  env = { XDG_CONFIG_HOME: folder };
});
afterEach(() => rm(folder, { recursive: true }));

const session = (user: string): Session => ({
  token: "t".repeat(43),
  session: "s1",
  user,
  profile: "operator",
  expiresAt: "2026-11-24T18:00:00.000Z",
});

test("keeps one session per broker, in a file that its owner alone can read", async () => {
  await storeSession(env, "mqtt://127.0.0.1:1883", session("ana"));
  await storeSession(env, "mqtt://127.0.0.1:2883", session("rui"));
  await expect(storedSession(env, "mqtt://127.0.0.1:1883")).resolves.toEqual(session("ana"));
  await expect(storedSession(env, "mqtt://127.0.0.1:2883")).resolves.toEqual(session("rui"));
  expect(statSync(credentialsFile(env)).mode & 0o777).toBe(0o600);
  expect(credentialsFile(env)).toBe(join(folder, "rastro", "credentials.json"));
});

test("replaces a session, also in a file that was readable to others", async () => {
  await storeSession(env, "mqtt://a", session("ana"));
  await writeFile(credentialsFile(env), JSON.stringify({ v: 1, sessions: {} }), { mode: 0o644 });
  await storeSession(env, "mqtt://a", session("rui"));
  await expect(storedSession(env, "mqtt://a")).resolves.toMatchObject({ user: "rui" });
  expect(statSync(credentialsFile(env)).mode & 0o777).toBe(0o600);
});

test("forgets a session, and the file with the last one", async () => {
  await storeSession(env, "mqtt://a", session("ana"));
  await storeSession(env, "mqtt://b", session("rui"));
  await storeSession(env, "mqtt://a", null);
  await expect(storedSession(env, "mqtt://a")).resolves.toBeUndefined();
  await expect(storedSession(env, "mqtt://b")).resolves.toMatchObject({ user: "rui" });
  await storeSession(env, "mqtt://b", null);
  expect(existsSync(credentialsFile(env))).toBe(false);
});

test("a damaged file is one sentence with what to do", async () => {
  await storeSession(env, "mqtt://a", session("ana"));
  await writeFile(credentialsFile(env), "{");
  await expect(storedSession(env, "mqtt://a")).rejects.toThrow(
    `Reading ${credentialsFile(env)} failed: it is damaged; remove it and sign in again with: rastro login`,
  );
});
