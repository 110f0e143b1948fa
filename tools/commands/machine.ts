import type { MachineRow } from "../../lib/contracts/machine.ts";
import type { Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import type { Groups } from "./groups.ts";

type AddOptions = { publicKey?: string; speaksFor?: string[] };
type ListOptions = { watch?: true; json?: true };

const WATCH_MS = 1000;

/** `machine add`, `machine list`. */
export function addMachineCommands({ program, act, terminal }: Groups): void {
  const machine = program.command("machine").description("machines: which are registered, which are online");

  const add = machine
    .command("add")
    .argument("<id>", "the machine's name on every topic: a-z, 0-9 and '-'")
    .description("register a machine; shows its secret this once, unless it signs with a key")
    .option("--public-key <base64>", "raw Ed25519 public key of a machine that signs")
    .option("--speaks-for <id...>", "other machines for which it may report")
    .addHelpText("after", "\nExample:\n  rastro machine add press-1 --json");
  act(add, (id: string, options: AddOptions) => runAdd(terminal, id, options));

  const list = machine
    .command("list")
    .description("list the machines with what is known of each")
    .option("--watch", "draw it anew each second until Ctrl-C")
    .addHelpText("after", "\nExample:\n  rastro machine list --watch");
  act(list, (options: ListOptions) => (options.watch ? runWatch(terminal, options) : runList(terminal)));
}

async function runAdd(terminal: Terminal, id: string, options: AddOptions): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const { MachineAddRequest } = await import("../../lib/contracts/directory.ts");
  const { parseValue } = await import("../../lib/contracts/parse.ts");
  const given = { id, publicKey: options.publicKey ?? null, speaksFor: options.speaksFor ?? [] };
  const request = parseValue(MachineAddRequest, given, "the machine");
  const added = await withHub(terminal.env, (hub) => hub.directory.machineAdd(hub.bearer, request));
  const secret = added.secret === null ? "It signs with its key." : `Its secret, shown this once: ${added.secret}`;
  return { data: added, text: `${added.id} is registered. ${secret}` };
}

async function runList(terminal: Terminal): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const rows = await withHub(terminal.env, (hub) => hub.call("fleet", "machine-list", {}));
  return { data: rows, text: await machineTable(rows) };
}

async function runWatch(terminal: Terminal, options: ListOptions): Promise<Outcome> {
  const { usageError } = await import("../client/usage.ts");
  if (options.json)
    throw usageError("--watch", "used with --json", "one of the two, since --json prints exactly one value");
  const { setTimeout: pause } = await import("node:timers/promises");
  const { withHub } = await import("../client/session.ts");
  const stop = new AbortController();
  const end = () => stop.abort();
  process.on("SIGINT", end).on("SIGTERM", end);
  await withHub(terminal.env, async (hub) => {
    while (!stop.signal.aborted) {
      const text = await machineTable(await hub.call("fleet", "machine-list", {}));
      terminal.stdout.write(`${terminal.stdout.isTTY ? CLEAR : ""}${text}\n`);
      await pause(WATCH_MS, null, { signal: stop.signal }).catch(() => {});
    }
  });
  return { data: null, text: "" };
}

/** ECMA-48: cursor home, erase the screen. */
const CLEAR = "\u001B[H\u001B[2J";

async function machineTable(rows: MachineRow[]): Promise<string> {
  const { localTime, table } = await import("../client/print.ts");
  return table(
    ["machine", "state", "since", "rate", "waiting", "software", "sign-in"],
    rows.map((row) => [
      row.id,
      row.online ? "online" : `offline${row.why === null ? "" : ` (${row.why})`}`,
      row.since === null ? null : localTime(row.since),
      row.rateHz === null ? null : `${row.rateHz.toFixed(1)} Hz`,
      row.waiting,
      row.app,
      row.credential,
    ]),
    "No machine is registered.",
  );
}
