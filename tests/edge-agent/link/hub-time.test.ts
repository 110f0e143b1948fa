import { expect, test } from "vitest";
import { directoryUrl } from "../../../edge-agent/link/directory-url.ts";
import { createHubTime } from "../../../edge-agent/link/hub-time.ts";
import { createPassword } from "../../../edge-agent/link/password.ts";
import { createKey } from "../../../lib/runtime/keys.ts";
import { checkToken } from "../../../lib/runtime/token.ts";

test("the answer counts for the middle of the question, and tells how far the own clock is off", async () => {
  let clock = 0;
  const hubTime = createHubTime({
    ask: async () => ((clock += 40), { now: "2026-11-24T05:44:05.000Z", plant: "plant-1" }),
    now: () => 1000,
    clock: () => clock,
    onFailure: (error) => expect.unreachable(String(error)),
  });
  expect(hubTime.offsetMs()).toBeNull();
  const atHub = Date.parse("2026-11-24T05:44:05.020Z");
  expect(await hubTime.ask()).toBe(atHub);
  expect(hubTime.offsetMs()).toBe(atHub - 1000);
});

test("without the hub the own clock has to do", async () => {
  const failures: unknown[] = [];
  const hubTime = createHubTime({
    ask: () => Promise.reject(new Error("refused")),
    now: () => 1000,
    clock: () => 0,
    onFailure: (error) => void failures.push(error),
  });
  expect(await hubTime.ask()).toBe(1000);
  expect(hubTime.offsetMs()).toBeNull();
  expect(failures).toHaveLength(1);
});

test("an answer that is no time is no answer", async () => {
  const failures: unknown[] = [];
  const hubTime = createHubTime({
    ask: async () => ({ now: "yesterday", plant: "plant-1" }),
    now: () => 1000,
    clock: () => 0,
    onFailure: (error) => void failures.push(error),
  });
  expect(await hubTime.ask()).toBe(1000);
  expect(hubTime.offsetMs()).toBeNull();
  expect(failures).toHaveLength(1);
});

test("each password is a new token by the hub's clock", async () => {
  const key = createKey();
  const times = [5_000_000_000, 6_000_000_000];
  let nonce = 0;
  const password = createPassword({
    machine: "ipc-07",
    plant: "plant-1",
    privateKey: key.privateKey,
    hubTime: { ask: async () => times.shift() ?? 0 },
    nonce: () => `nonce-${++nonce}`,
  });
  const check = (token: string, now: number) =>
    checkToken({ token, sub: "ipc-07", aud: "plant-1", publicKey: key.publicRaw, now: () => now });
  expect(check(await password(), 5_000_000_000)).toMatchObject({ iat: 5_000_000_000, nonce: "nonce-1" });
  expect(check(await password(), 6_000_000_000)).toMatchObject({ iat: 6_000_000_000, nonce: "nonce-2" });
});

test("the directory is beside the hub, or behind the console of the hub's host", () => {
  const settings = { brokerUrl: "mqtt://10.0.0.5:1883", httpPort: 8080 };
  expect(directoryUrl(settings, "http://127.0.0.1:41000")).toBe("http://127.0.0.1:41000");
  expect(directoryUrl(settings, null)).toBe("http://10.0.0.5:8080");
});
