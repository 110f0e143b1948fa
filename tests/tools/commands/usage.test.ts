import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rastro } from "./cli.ts";

let folder: string;
let env: Record<string, string>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rastro-cli-"));
  // A port on which nothing listens: none of these commands may get as far as to ask a hub.
  env = { RASTRO_DATA: join(folder, "data"), XDG_CONFIG_HOME: folder, RASTRO_URL: "http://127.0.0.1:1" };
});
afterAll(() => rm(folder, { recursive: true }));

const ADD = ["entry", "add", "--machine", "press-1", "--lot", "L-1"];
const ID = "019ab3c4-5d6e-7f80-9123-456789abcdef";

describe("wrong usage exits with 2 and says in one sentence what is expected", () => {
  test.each([
    [["frobnicate"], "unknown command 'frobnicate'; expected: rastro [options] [command]"],
    [["entry"], "no command was given; expected: rastro entry [options] [command]"],
    [["entry", "add", "--lot", "L-1"], "required option '--machine <id>' not specified"],
    [[...ADD, "--goood", "1"], "unknown option '--goood' (Did you mean --good?)"],
    [[...ADD, "--good"], "option '--good <pieces>' argument missing"],
    [[...ADD, "extra"], "too many arguments"],
    [[...ADD, "--good", "-1"], "Reading the entry failed: good is -1; expected: 0 or more pieces."],
    [[...ADD, "--good", "1.5"], 'Reading the entry failed: good is "1.5"; expected: a whole number of pieces.'],
    [[...ADD, "--good", "1.000"], 'good is "1.000"; expected: a whole number of pieces.'],
    [[...ADD, "--good", "10000001"], "good is 10000001; expected: at most 10,000,000 pieces."],
    [["entry", "add", "--machine", "Press 1", "--lot", "L-1"], 'machine is "Press 1"; expected: 1 to 63 of a-z, 0-9'],
    [[...ADD, "--scrap", "2"], "expected: one --defect for each --scrap, in the same order."],
    [[...ADD, "--scrap-of", "burr"], '--scrap-of is "burr"; expected: DEFECT=PIECES or DEFECT@LOCATION=PIECES.'],
    [[...ADD, "--scrap-of", "burr=1", "--scrap-of", "burr=2"], "expected: each defect at each location once."],
    [[...ADD, "--at", "2026-11-24T05:44:05"], "expected: an instant with its zone"],
    [[...ADD, "--id", "7"], '--id failed: (whole) is "7"; expected: a lower-case UUID version 7.'],
    [["entry", "correct", ID, "--good", "3"], "required option '--reason <code>' not specified"],
    [
      ["entry", "correct", ID, "--reason", "COUNT_FIX", "--text", "long enough text"],
      "expected: what is to be changed",
    ],
    [
      ["entry", "void", ID, "--reason", "OTHER", "--text", "short"],
      "expected: a justification of at least 10 characters.",
    ],
    [["entry", "void", ID, "--reason", "BECAUSE", "--text", "long enough text"], 'code is "BECAUSE"'],
    [["entry", "show", "12"], "expected: a lower-case UUID version 7."],
    [["entry", "list", "--limit", "0"], "limit is 0"],
    [["audit", "show", "twelve"], 'the number or id of the record failed: (whole) is "twelve"'],
    [["audit", "verify", "--book", "diary"], 'Reading --book failed: (whole) is "diary"'],
    [["user", "add", "Ana", "--profile", "operator", "--password-stdin"], 'name is "Ana"'],
    [["user", "add", "ana", "--profile", "king", "--password-stdin"], 'profile is "king"'],
    [["user", "add", "ana", "--profile", "operator"], "standard input is no terminal"],
    [["machine", "add", "press.1"], 'id is "press.1"'],
    [["machine", "speaks-for"], "missing required argument 'agent'"],
    [["machine", "speaks-for", "ipc-07", "Press 1"], 'speaksFor.0 is "Press 1"'],
    [["replay"], "missing required argument 'file'"],
    [["replay", "/nowhere/reports.csv"], "Reading /nowhere/reports.csv failed (ENOENT)."],
    [["acl"], "required option '--format <format>' not specified"],
    [["backup", "create", "diary"], 'Reading the store failed: (whole) is "diary"'],
    [["backup", "restore"], "missing required argument 'store'"],
    [["backup", "restore", "audit", "--older-on-purpose"], '--reason is ""; expected: why the book is to be older'],
    [["backup", "restore", "audit", "--older-on-purpose", "--reason", "short"], "in 10 characters or more"],
    [["command", "send", "ipc-07", "reboot"], 'Reading the command failed: name is "reboot"; expected:'],
    [["command", "send", "ipc.07", "ping"], 'machine is "ipc.07"'],
    [["command", "send", "ipc-07", "ping", "--args", "{"], '--args is "{"; expected: a JSON object.'],
    [["command", "send", "ipc-07", "ping", "--args", "[]"], "args is []"],
    [["command", "send", "ipc-07", "ping", "--valid", "1.5"], '--valid is "1.5"; expected: a whole number of seconds.'],
    [["command", "send", "ipc-07", "ping", "--valid", "86400"], "validMs is 86400000"],
    [["command", "send", "ipc-07"], "missing required argument 'name'"],
    [["command", "show", "12"], "expected: a lower-case UUID version 7."],
    [["command", "approve", "12"], "expected: a lower-case UUID version 7."],
    [["command", "cancel"], "missing required argument 'id'"],
    [["rollout", "begin", "ping"], "--all is used with 0 machines; expected: either --all or ids of machines."],
    [["rollout", "begin", "ping", "ipc-07", "--all"], "expected: either --all or ids of machines."],
    [["rollout", "begin", "ping", "ipc-07", "ipc-07"], "expected: each machine once."],
    [["rollout", "begin", "ping", "--all", "--wave", "0"], "waveSize is 0"],
    [["rollout", "begin", "reboot-everything", "--all"], 'name is "reboot-everything"'],
    [["rollout", "show", "12"], "expected: a lower-case UUID version 7."],
  ])("%j", async (args, sentence) => {
    const { stdout, stderr, exit } = await rastro(args, env);
    expect(stderr).toContain(sentence);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(exit).toBe(2);
    expect(stdout).toBe("");
  });

  test("with --json the problem is the one value on stdout", async () => {
    const done = await rastro([...ADD, "--good", "-1", "--json"], env);
    expect(done.exit).toBe(2);
    expect(done.json()).toEqual({
      error: {
        code: "schema",
        message: "Reading the entry failed: good is -1; expected: 0 or more pieces.",
        field: "good",
        given: "-1",
        expected: "0 or more pieces",
      },
    });
    const watched = await rastro(["machine", "list", "--watch", "--json"], env);
    expect(watched).toMatchObject({ exit: 2, stderr: expect.stringContaining("expected: one of the two") });
    const unknown = await rastro(["entry", "add", "--json", "--what"], env);
    expect(unknown.json()).toMatchObject({ error: { code: "schema" } });
  });

  test("an empty or short password on standard input", async () => {
    const args = ["user", "add", "ana", "--profile", "operator", "--password-stdin"];
    expect(await rastro(args, env)).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining("the password as one line"),
    });
    const short = await rastro(args, env, "1234567\n");
    expect(short).toMatchObject({ exit: 2, stderr: expect.stringContaining("a password of at least 8 characters") });
  });
});

describe("help", () => {
  test.each([
    [[], ["Exit codes:", "3  not reachable", "Examples:", "RASTRO_USER"]],
    [
      ["entry", "add"],
      ["--scrap-of", "rastro entry add --machine press-1"],
    ],
    [
      ["entry", "correct"],
      ["COUNT_FIX", "rastro entry correct"],
    ],
    [["audit", "verify"], ["rastro audit verify --book production --json"]],
    [
      ["command", "send"],
      ["--no-wait", "rastro command send press-1 ping", "system-info  asks for system"],
    ],
    [["setup"], ["rastro setup --code"]],
    [["replay"], ["order_quantity", "rastro replay production-2012.csv --speed 3600"]],
    [
      ["machine", "speaks-for"],
      ["--also", "rastro machine speaks-for ipc-07 press-1 press-2"],
    ],
    [["acl"], ["acl_file", "rastro acl --format mosquitto --principals"]],
    [["doctor"], ["rastro doctor --json"]],
    [
      ["entry", "list"],
      ["--watch", "rastro entry list --limit 20 --watch"],
    ],
  ])("of %j goes to stdout with examples and exits with 0", async (args, parts) => {
    const { stdout, stderr, exit } = await rastro([...args, "--help"], env);
    expect({ stderr, exit }).toEqual({ stderr: "", exit: 0 });
    for (const part of parts) expect(stdout).toContain(part);
  });
});

describe("no hub", () => {
  test("without anything to sign in with: 4, with what there is to do", async () => {
    const done = await rastro(["entry", "totals"], env);
    expect(done).toMatchObject({ exit: 4, stdout: "" });
    expect(done.stderr).toContain("rastro login");
  });

  test("nothing listens: 3", async () => {
    const named = { ...env, RASTRO_USER: "ana", RASTRO_PASSWORD: "a long password" };
    const done = await rastro(["entry", "totals", "--json"], named);
    expect(done.exit).toBe(3);
    expect(done.json()).toMatchObject({ error: { code: "not_reachable" } });
  });

  test("half of a name and password: 2", async () => {
    const done = await rastro(["entry", "totals"], { ...env, RASTRO_USER: "ana" });
    expect(done).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining("RASTRO_USER and RASTRO_PASSWORD together"),
    });
  });

  test("a setting that does not fit: 2", async () => {
    const done = await rastro(["entry", "totals"], { ...env, RASTRO_HTTP_PORT: "many" });
    expect(done).toMatchObject({ exit: 2, stderr: expect.stringContaining("RASTRO_HTTP_PORT") });
  });

  test("no agent on this machine: 3", async () => {
    const done = await rastro([...ADD, "--good", "1", "--at-agent"], env);
    expect(done).toMatchObject({ exit: 3, stderr: expect.stringContaining("no agent runs with the data folder") });
  });

  test("logging out without a stored sign-in is done", async () => {
    expect(await rastro(["logout"], env)).toMatchObject({ exit: 0, stdout: "There was no stored sign-in.\n" });
  });
});
