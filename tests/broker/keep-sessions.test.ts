import mqtt from "mqtt";
import { expect, it, onTestFinished } from "vitest";
import { keepSessions } from "../../broker/keep-sessions.ts";
import { startTestHub } from "../support/hub.ts";
import { stagedEvents } from "../support/directory.ts";
import { SILENT } from "../support/silent.ts";

const HOUR = 60 * 60_000;

async function start() {
  const clock = { ahead: 0 };
  const limits = { idleMs: 2 * HOUR, maxMs: 24 * HOUR };
  const hub = await startTestHub({ now: () => Date.now() + clock.ahead, sessionLimits: limits });
  onTestFinished(() => hub.close());
  await hub.addPerson("maria", "operator");
  const { token, session } = await hub.signIn("maria");
  const connect = () =>
    mqtt.connectAsync(hub.url, { protocolVersion: 4, reconnectPeriod: 0, username: "maria", password: token });
  /** What the timer of the process does: each minute. */
  const minute = () => keepSessions({ hub: hub.hub, directory: hub.directory, everyMs: HOUR, log: SILENT })();
  const endOf = async () =>
    (await stagedEvents(hub.directory)).map(({ event }) => event).find(({ type }) => type === "session.ended");
  return { hub, clock, connect, minute, session, endOf };
}

it("an open connection keeps its session, and is ended when the session has lasted its time", async () => {
  const { hub, clock, connect, minute, session, endOf } = await start();
  const screen = await connect();
  onTestFinished(() => screen.endAsync(true));
  const closed = new Promise<void>((resolve) => screen.once("close", () => resolve()));
  // Also over hours in which the hub itself slept.
  for (const hours of [1, 1, 9, 1, 11]) {
    clock.ahead += hours * HOUR;
    minute();
  }
  expect(hub.hub.live().filter(({ user }) => user === "maria")).toMatchObject([{ session }]);
  clock.ahead += HOUR;
  minute();
  await closed;
  expect(hub.access.at(-1)).toMatchObject({ kind: "disconnected", user: "maria", why: "session-ended" });
  await expect(connect()).rejects.toMatchObject({ code: 4 });
  await expect.poll(endOf).toMatchObject({
    actor: { sub: "directory", auth: "service" },
    obj: { kind: "session", key: session },
    payload: { why: "expired", whose: hub.directory.register.principal("maria")?.sub },
  });
});

it("a session that nobody uses ends after its idle time, counted from the end of its last connection", async () => {
  const { clock, connect, minute, endOf } = await start();
  clock.ahead += HOUR;
  const screen = await connect();
  clock.ahead += HOUR + 60_000;
  minute();
  await screen.endAsync();
  clock.ahead += 2 * HOUR - 60_000;
  minute();
  await (await connect()).endAsync();
  clock.ahead += 2 * HOUR + 60_000;
  minute();
  await expect(connect()).rejects.toMatchObject({ code: 4 });
  await expect.poll(endOf).toMatchObject({ payload: { why: "expired" } });
});
