import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { CommandView } from "../../lib/contracts/commands.ts";
import { type Ran, rastro } from "../support/cli.ts";
import { type Plant, startPlant } from "../support/plant.ts";

/* Commands from the command line to a machine and back, with real processes. */
describe("commands through a whole plant", { timeout: 60_000 }, () => {
  const sue = { user: "sue", password: "correct horse battery" };
  const oto = { user: "oto", password: "correct horse battery" };
  let plant: Plant;

  const cli = (args: string[], options = {}): Promise<Ran> => rastro(plant.environment, ["command", ...args], options);
  const view = (ran: Ran) => ran.json() as CommandView;
  const show = async (id: string) => view(await cli(["show", id, "--json"]));
  const untilState = (id: string, state: string) =>
    vi.waitFor(async () => expect((await show(id)).state).toBe(state), { timeout: 20_000, interval: 100 });

  beforeAll(async () => {
    plant = await startPlant();
    for (const [name, profile] of [
      ["sue", "supervisor"],
      ["oto", "operator"],
    ] as const) {
      const args = ["user", "add", name, "--profile", profile, "--password-stdin"];
      const added = await rastro(plant.environment, args, { stdin: `${sue.password}\n` });
      if (added.code !== 0) throw new Error(added.stderr);
    }
  }, 60_000);
  afterAll(async () => {
    await plant?.stop();
    await plant?.remove();
  });

  it("ping comes back with the machine's time, and the command waits for it", async () => {
    const ran = await cli(["send", "ipc-07", "ping", "--json"], sue);
    expect(ran.code, ran.stderr).toBe(0);
    expect(view(ran)).toMatchObject({
      machine: "ipc-07",
      state: "succeeded",
      who: "sue",
      result: { data: { time: expect.any(String), offsetMs: expect.any(Number) } },
    });
    const text = await cli(["send", "ipc-07", "ping"], sue);
    expect(text.stdout).toMatch(/state +succeeded\n/);
    expect(text.stdout).toContain('"offsetMs"');
  });

  it("system-info tells what the machine runs on", async () => {
    const ran = await cli(["send", "ipc-07", "system-info", "--json"], sue);
    expect(ran.code, ran.stderr).toBe(0);
    expect(view(ran).result?.data).toMatchObject({ os: { platform: process.platform }, disks: expect.any(Array) });
  });

  it("is refused to an operator, who may look; and to a machine or name that is not there", async () => {
    expect((await cli(["send", "ipc-07", "ping"], oto)).code).toBe(4);
    const listed = await cli(["list", "ipc-07", "--json"], oto);
    expect((listed.json() as { commands: unknown[] }).commands).toHaveLength(3);
    expect((await cli(["send", "ipc-77", "ping"], sue)).code).toBe(1);
    expect((await cli(["send", "ipc-07", "reboot"], sue)).code).toBe(2);
    expect((await cli(["send", "ipc-07", "ping", "--args", '{"loud":true}'], sue)).code).toBe(2);
  });

  it("is in the audit book step by step, and the machine's own word has the same digest", async () => {
    const { id } = view(await cli(["send", "ipc-07", "ping", "--json"], sue));
    type Row = {
      who: string | null;
      record: { event: { type: string; obj: { key: string }; payload: { digest?: string } } };
    };
    const rows = await vi.waitFor(
      async () => {
        const tail = await rastro(plant.environment, ["audit", "tail", "--limit", "100", "--json"]);
        const all = (tail.json() as { rows: Row[] }).rows.filter(({ record }) => record.event.obj.key === id);
        expect(all).toHaveLength(5);
        return all;
      },
      { timeout: 10_000, interval: 200 },
    );
    const types = rows.map(({ who, record }) => `${record.event.type} ${who}`);
    expect(types.toSorted()).toEqual([
      "command.acknowledged ipc-07",
      "command.executed ipc-07",
      "command.finished ipc-07",
      "command.issued sue",
      "command.sent fleet",
    ]);
    const digests = rows.flatMap(({ record }) => record.event.payload.digest ?? []);
    expect(digests).toHaveLength(2);
    expect(digests[0]).toBe(digests[1]);
  });

  it("waits while the machine is away: it expires, or is executed at the machine's birth", async () => {
    await plant.processes["edge-agent"].stop();
    await vi.waitFor(async () => {
      const rows = (await rastro(plant.environment, ["machine", "list", "--json"])).json() as { online: boolean }[];
      expect(rows[0]?.online).toBe(false);
    }, 10_000);
    const short = await cli(["send", "ipc-07", "ping", "--valid", "1", "--json"], sue);
    expect(short.code).toBe(1);
    expect(view(short)).toMatchObject({ state: "expired", result: null });

    const long = await cli(["send", "ipc-07", "ping", "--no-wait", "--json"], sue);
    expect(long.code).toBe(0);
    expect(view(long).state).toBe("queued");
    await plant.processes["edge-agent"].start();
    await untilState(view(long).id, "succeeded");
    expect((await show(view(short).id)).state).toBe("expired");
  });

  it("survives a fleet that is killed in the middle, and so does whoever waits", async () => {
    await plant.processes["edge-agent"].stop();
    const waiting = cli(["send", "ipc-07", "system-info", "--json"], sue);
    const { id } = await vi.waitFor(async () => {
      const { commands } = (await cli(["list", "--limit", "1", "--json"])).json() as { commands: CommandView[] };
      expect(commands[0]).toMatchObject({ name: "system-info" });
      return commands[0] as CommandView;
    }, 10_000);
    plant.processes.fleet.kill();
    await plant.processes["edge-agent"].start();
    const ran = await waiting;
    expect(ran.code, ran.stderr).toBe(0);
    expect(view(ran)).toMatchObject({ id, state: "succeeded" });
    const states = view(ran).history.map(({ state }) => state);
    expect(new Set(states).size).toBe(states.length);
  });
});
