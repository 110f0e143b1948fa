import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  Command,
  COMMAND_NAMES,
  CommandResult,
  COMMANDS,
  CommandState,
  isOpen,
  SignedCommand,
  SystemInfo,
} from "../../../lib/contracts/commands.ts";
import { findOperation } from "../../../lib/contracts/operations.ts";
import { filters, parseCommand, parseCommandAnswer, topicMatches, topics } from "../../../lib/contracts/topics.ts";
import { command } from "../../support/commands.ts";

const fits = (schema: { safeParse(value: unknown): { success: boolean } }, value: unknown) =>
  schema.safeParse(value).success;

describe("a command", () => {
  it("is read as it was made", () => {
    expect(Command.parse(command())).toMatchObject({ v: 1, name: "ping" });
  });

  it.each([
    ["another version", { v: 2 }],
    ["a field more", { note: "x" }],
    ["an id of another kind", { id: "01932c07-5d3e-4a5c-9f10-1b6a2b3c4d5e" }],
    ["a machine that is no segment", { machine: "ipc/07" }],
    ["a name that is a wildcard", { name: "+" }],
    ["arguments that are a list", { args: [] }],
    ["a local time", { notAfter: "2026-11-24T12:00:00-03:00" }],
    ["no time to execute", { timeoutMs: 0 }],
    ["days to execute", { timeoutMs: 86_400_000 }],
    ["an issuer by name", { issuer: { sub: "Maria", auth: "session", profile: "supervisor" } }],
  ])("is not taken with %s", (_what, change) => {
    expect(fits(Command, { ...command(), ...change })).toBe(false);
  });

  it("is not taken with a field missing, whichever it is", () => {
    for (const field of Object.keys(command())) {
      const { [field as "v"]: _, ...rest } = command();
      expect(fits(Command, rest), field).toBe(false);
    }
  });

  it("travels as text and signature, and nothing else", () => {
    const signed = { body: "{}", sig: "AAAA" };
    expect(fits(SignedCommand, signed)).toBe(true);
    expect(fits(SignedCommand, { ...signed, key: "AAAA" })).toBe(false);
    expect(fits(SignedCommand, { ...signed, body: "x".repeat(16_385) })).toBe(false);
  });
});

describe("the catalogue", () => {
  it.each(COMMAND_NAMES)("%s takes no arguments", (name) => {
    expect(fits(COMMANDS[name].args, {})).toBe(true);
    expect(fits(COMMANDS[name].args, { loud: true })).toBe(false);
  });

  it("has no room for what singles a device or its user out", () => {
    const nothing = { system: null, os: null, cpu: null, memory: null, disks: null, network: null };
    expect(fits(SystemInfo, nothing)).toBe(true);
    const system = { manufacturer: "A", model: "B", version: null, virtual: null };
    expect(fits(SystemInfo, { ...nothing, system })).toBe(true);
    expect(fits(SystemInfo, { ...nothing, system: { ...system, serial: "42" } })).toBe(false);
    const card = { name: "eth0", type: null, up: true, ip4: null, speedMbit: null };
    expect(fits(SystemInfo, { ...nothing, network: [card] })).toBe(true);
    expect(fits(SystemInfo, { ...nothing, network: [{ ...card, mac: "02:fc:00:00:00:01" }] })).toBe(false);
  });
});

describe("a result", () => {
  it("has an outcome that is not a state of the fleet's", () => {
    const result = { v: 1, id: command().id, at: command().issuedAt, status: "succeeded", data: null, error: null };
    expect(fits(CommandResult, result)).toBe(true);
    expect(fits(CommandResult, { ...result, status: "expired" })).toBe(false);
    expect(fits(CommandResult, { ...result, error: { code: "no-such-code", message: "" } })).toBe(false);
  });

  it("ends a command, as do the fleet's own conclusions", () => {
    expect(CommandState.options.filter(isOpen)).toEqual([
      "pending-approval",
      "queued",
      "sent",
      "acknowledged",
      "running",
    ]);
  });
});

describe("topics of commands", () => {
  const segment = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
  const kind = fc.constantFrom("ack" as const, "progress" as const, "result" as const);

  it("are parsed as they are built, under the filters that are subscribed", () => {
    fc.assert(
      fc.property(segment, segment, kind, (machine, name, kind) => {
        const asked = topics.command(machine, name);
        const answered = topics.commandAnswer(machine, name, kind);
        expect(parseCommand(asked)).toEqual({ machine, name });
        expect(parseCommandAnswer(answered)).toEqual({ machine, name, kind });
        expect(topicMatches(filters.commandsTo(machine), asked)).toBe(true);
        expect(topicMatches(filters.commandsTo(machine), answered)).toBe(false);
        expect(topicMatches(filters.everyCommandAnswer, answered)).toBe(true);
        expect(parseCommand(answered)).toBeNull();
        expect(parseCommandAnswer(asked)).toBeNull();
      }),
    );
  });

  it.each(["machines/a/commands/ping/other", "machines/a/commands//ack", "services/a/commands/ping/ack", ""])(
    "%j is none",
    (topic) => expect(parseCommandAnswer(topic)).toBeNull(),
  );
});

describe("who may ask for commands", () => {
  it("those who change things send, those who read look", () => {
    for (const operation of ["command-send", "command-approve", "command-cancel"]) {
      expect(findOperation("fleet", operation)?.profiles).toEqual(["supervisor", "coordinator", "administrator"]);
    }
    for (const operation of ["command-show", "command-list"]) {
      expect(findOperation("fleet", operation)?.profiles).toEqual(findOperation("fleet", "machine-list")?.profiles);
    }
  });

  it("only what is in the catalogue, and for an hour at most", () => {
    const request = findOperation("fleet", "command-send")?.request;
    const asked = { id: command().id, machine: "ipc-07", name: "ping" };
    expect(request?.parse(asked)).toEqual({
      ...asked,
      args: {},
      validMs: 60_000,
      approvalMs: 900_000,
      timeoutMs: null,
    });
    for (const change of [{ name: "reboot" }, { name: "constructor" }, { validMs: 3_600_001 }, { shell: "rm" }]) {
      expect(request?.safeParse({ ...asked, ...change }).success, JSON.stringify(change)).toBe(false);
    }
  });
});
