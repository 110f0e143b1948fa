import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createChangeMarks, type KeyedTable } from "../../../tools/client/watch.ts";
import { rastro } from "../../support/cli.ts";
import { type Plant, startPlant } from "../../support/plant.ts";
import { watch } from "../../support/until.ts";

const CLI = join(import.meta.dirname, "../../../tools/cli.ts");

describe("marks of change", () => {
  const drawing = (rows: Record<string, number>): KeyedTable => ({
    names: ["name", "value"],
    rows: Object.entries(rows).map(([key, value]) => ({ key, cells: [key, value] })),
    empty: "nothing",
  });

  it("stand before rows that are new or say something else, and not in the first drawing", async () => {
    const draw = createChangeMarks();
    const marked = async (rows: Record<string, number>) =>
      (await draw(drawing(rows)))
        .split("\n")
        .slice(1)
        .filter((line) => line.startsWith("*"))
        .map((line) => line.split(/ +/)[1]);
    expect(await marked({ one: 1, two: 2 })).toEqual([]);
    expect(await marked({ two: 3, one: 1 })).toEqual(["two"]);
    expect(await marked({ two: 3, three: 3, one: 1 })).toEqual(["three"]);
    expect(await marked({ two: 3 })).toEqual([]);
    expect(await marked({ two: 3, one: 1 })).toEqual(["one"]);
  });

  it("count from nothing too", async () => {
    const draw = createChangeMarks();
    expect(await draw(drawing({}))).toBe("nothing");
    expect(await draw(drawing({ one: 1 }))).toMatch(/^\* +one/m);
  });
});

describe("--watch", () => {
  let plant: Plant;
  beforeAll(async () => {
    plant = await startPlant();
  }, 60_000);
  afterAll(async () => {
    await plant.stop();
    await plant.remove();
  });

  it.each([
    ["totals", /^\* +good +5$/m],
    ["list", /^\* .* L-1 +5 /m],
  ])("of entry %s marks what somebody enters meanwhile, and ends with Ctrl-C", async (what, mark) => {
    const env = { ...plant.environment, HOME: "/nonexistent", XDG_CONFIG_HOME: "/nonexistent" };
    const child = spawn(process.execPath, [CLI, "entry", what, "--watch"], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    const shown = watch("");
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      shown.value += chunk;
      shown.changed();
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    await shown.until((drawn) => /^ +(?:total|entry) /m.test(drawn) || drawn.includes("There is no entry."));
    const add = ["entry", "add", "--machine", "ipc-07", "--lot", "L-1", "--good", "5"];
    expect((await rastro(plant.environment, add)).code).toBe(0);
    await shown.until((drawn) => mark.test(drawn));
    child.kill("SIGINT");
    expect(await ended).toEqual([0, null]);
  });

  it("ends without a fault when nobody reads any more", async () => {
    const env = { ...plant.environment, HOME: "/nonexistent", XDG_CONFIG_HOME: "/nonexistent" };
    const child = spawn(process.execPath, [CLI, "machine", "list", "--watch"], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const [ended, complaint] = [once(child, "exit"), text(child.stderr)];
    await once(child.stdout, "data");
    child.stdout.destroy();
    expect(await ended).toEqual([0, null]);
    expect(await complaint).toBe("");
  });

  it.each(["totals", "list"])("of entry %s is refused with --json", async (what) => {
    const done = await rastro(plant.environment, ["entry", what, "--watch", "--json"]);
    expect(done).toMatchObject({ code: 2, stderr: expect.stringContaining("expected: one of the two") });
  });
});
