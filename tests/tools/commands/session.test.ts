import mqtt from "mqtt";
import { expect, it, onTestFinished } from "vitest";
import type { SessionRow } from "../../../lib/contracts/directory.ts";
import { startTestHub } from "../../support/hub.ts";
import { rastro } from "./cli.ts";

/* The commands that look at and end what somebody has open, against a real hub. */

async function start() {
  const hub = await startTestHub();
  onTestFinished(() => hub.close());
  await hub.addPerson("ada", "administrator");
  await hub.addPerson("maria", "operator");
  const run = (user: string, args: string[]) =>
    rastro(args, {
      RASTRO_URL: hub.directoryUrl,
      RASTRO_BROKER_URL: hub.url,
      RASTRO_USER: user,
      RASTRO_PASSWORD: `${user}-password`,
      HOME: "/nonexistent",
    });
  const connect = async (user: string, password: string) => {
    const client = await mqtt.connectAsync(hub.url, {
      protocolVersion: 4,
      reconnectPeriod: 0,
      username: user,
      password,
      clientId: "screen",
    });
    onTestFinished(() => client.endAsync(true));
    return new Promise<void>((resolve) => client.once("close", () => resolve()));
  };
  return { hub, run, connect };
}

it("an administrator sees who is signed in and ends it", async () => {
  const { hub, run, connect } = await start();
  const { session, token } = await hub.signIn("maria");
  let open = connect("maria", token);
  // Connected once the list has it.
  await expect.poll(() => hub.hub.live().map(({ client }) => client)).toContain("screen");
  const listed = await run("ada", ["session", "list"]);
  expect(listed.stdout).toMatch(new RegExp(`^${session} +maria +operator +test .* 127\\.0\\.0\\.1 +screen$`, "m"));
  expect(listed.stdout).toMatch(/ \(this one\) +ada +administrator +rastro-cli /);
  const rows = (await run("ada", ["session", "list", "--user", "maria", "--json"])).json() as SessionRow[];
  expect(rows.map((row) => row.session)).toEqual([session]);

  expect((await run("ada", ["session", "end", session])).stdout).toBe("1 session ended.\n");
  await open;
  expect(await run("ada", ["session", "end", session])).toMatchObject({ exit: 1 });
  open = connect("maria", (await hub.signIn("maria")).token);
  await expect.poll(() => hub.hub.live().map(({ client }) => client)).toContain("screen");
  expect((await run("ada", ["session", "end", "--user", "maria"])).stdout).toBe("1 session ended.\n");
  await open;
});

it("everybody sees and ends their own, and nobody else's", async () => {
  const { hub, run } = await start();
  const ada = await hub.signIn("ada");
  await hub.signIn("maria");
  const rows = (await run("maria", ["session", "list", "--json"])).json() as SessionRow[];
  expect(rows.map(({ user, current }) => [user, current])).toEqual([
    ["maria", false],
    ["maria", true],
  ]);
  expect(await run("maria", ["session", "list", "--user", "ada"])).toMatchObject({ exit: 4 });
  expect(await run("maria", ["session", "end", "--user", "ada"])).toMatchObject({ exit: 4 });
  expect(await run("maria", ["session", "end", ada.session])).toMatchObject({ exit: 1 });
  expect((await run("maria", ["session", "end", "--mine-others"])).stdout).toBe("1 session ended.\n");
  for (const args of [[], ["s-1", "--mine-others"], ["--user", "ada", "--mine-others"]]) {
    expect(await run("maria", ["session", "end", ...args])).toMatchObject({ exit: 2 });
  }
});

it("locks, unlocks, changes profiles, revokes and readmits", async () => {
  const { hub, run } = await start();
  const { secret } = await hub.addDevice("press-07");
  expect((await run("ada", ["user", "profile", "maria", "supervisor"])).stdout).toBe("maria is supervisor now.\n");
  expect(await run("ada", ["user", "profile", "maria", "boss"])).toMatchObject({ exit: 2 });
  expect((await run("ada", ["user", "lock", "maria"])).stdout).toBe("maria is locked out.\n");
  expect(await run("maria", ["session", "list"])).toMatchObject({ exit: 4 });
  expect((await run("ada", ["user", "unlock", "maria"])).stdout).toBe("maria may sign in again.\n");
  expect(await run("ada", ["user", "lock", "ada"])).toMatchObject({ exit: 4 });
  expect(await run("maria", ["machine", "revoke", "press-07"])).toMatchObject({ exit: 4 });
  expect((await run("ada", ["machine", "revoke", "press-07"])).stdout).toBe("press-07 is revoked.\n");
  expect(hub.directory.register.principal("press-07")).toMatchObject({ active: false });
  const readmitted = (await run("ada", ["machine", "readmit", "press-07", "--json"])).json() as { secret: string };
  expect(readmitted.secret).not.toBe(secret);
  expect(hub.directory.register.principal("press-07")).toMatchObject({ active: true });
});
