import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { AccessEvent } from "../../broker/access-events.ts";
import { openSessionStore } from "../../broker/open-persistence.ts";
import { temporaryFolder } from "../support/folder.ts";

const HOUR = 60 * 60_000;
const CLIENT = "panel:historian";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

it("what a session will not get, and its end, are told as access events of its user", async () => {
  const events: AccessEvent[] = [];
  let now = 0;
  const { persistence, close } = await openSessionStore({
    folder: await temporaryFolder(),
    limits: { messages: 2, bytes: 1_000_000, ageMs: HOUR, expiryMs: 2 * HOUR },
    now: () => now,
    onAccess: (event) => events.push(event),
  });
  await persistence.addSubscriptions({ id: CLIENT }, [{ topic: "a", qos: 1 }]);
  for (const text of ["1", "2", "3", "4"]) {
    await persistence.outgoingEnqueue({ clientId: CLIENT }, { topic: "a", payload: text, qos: 1, retain: false });
  }
  persistence.left(CLIENT);
  now += HOUR;
  vi.advanceTimersByTime(60_000);
  now += HOUR;
  vi.advanceTimersByTime(60_000);
  await close();
  const about = { user: "panel", address: "", subject: CLIENT };
  expect(events).toEqual([
    { kind: "queue-dropped", code: "too_slow", ...about },
    { kind: "queue-dropped", code: "too_slow", ...about },
    { kind: "queue-dropped", code: "expired", ...about },
    { kind: "queue-dropped", code: "expired", ...about },
    { kind: "queue-ended", code: "expired", ...about },
  ]);
});
