import { RastroError } from "../../lib/contracts/errors.ts";
import type { MachineRow } from "../../lib/contracts/machine.ts";
import type { Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import type { Groups } from "./groups.ts";

type AddOptions = { publicKey?: string; speaksFor?: string[]; neverSignsIn?: true };
type SpeaksForOptions = { also?: true };
type ListOptions = { watch?: true; json?: true };

/** `machine add`, `machine speaks-for`, `machine revoke`, `machine readmit`, `machine list`. */
export function addMachineCommands({ program, act, terminal }: Groups): void {
  const machine = program.command("machine").description("machines: which are registered, which are online");

  const add = machine
    .command("add")
    .argument("<id>", "the machine's name on every topic: a-z, 0-9 and '-'")
    .description("register a machine; shows its secret this once, unless it signs with a key")
    .option("--public-key <base64>", "raw Ed25519 public key of a machine that signs")
    .option("--speaks-for <id...>", "other machines for which it may report")
    .option("--never-signs-in", "it has neither secret nor key; others speak for it")
    .addHelpText(
      "after",
      "\nExamples:\n  rastro machine add press-1 --json\n  rastro machine add oven --never-signs-in   entries can be made for it, by others",
    );
  act(add, (id: string, options: AddOptions) => runAdd(terminal, id, options));

  const speaksFor = machine
    .command("speaks-for")
    .argument("<agent>", "the machine that reports")
    .argument("[machines...]", "all the machines for which it may report, besides itself")
    .description("set for which other machines one may report; administrators only")
    .option("--also", "keep those that are set already")
    .addHelpText(
      "after",
      "\nExamples:\n  rastro machine speaks-for ipc-07 press-1 press-2   these two and no others\n  rastro machine speaks-for ipc-07 oven --also\n  rastro machine speaks-for ipc-07                   for none but itself",
    );
  act(speaksFor, (id: string, machines: string[], options: SpeaksForOptions) =>
    runSpeaksFor(terminal, id, machines, options),
  );

  const revoke = machine
    .command("revoke")
    .argument("<id>", "the machine that is not let in any more")
    .description("let a machine in no more: its connections are cut at once; administrators only")
    .addHelpText("after", "\nExample:\n  rastro machine revoke press-1");
  act(revoke, (id: string) => runRevoke(terminal, id));

  const readmit = machine
    .command("readmit")
    .argument("<id>", "the machine that is let in again")
    .description("let a revoked machine in again; one with a secret gets a new one; administrators only")
    .option("--public-key <base64>", "raw Ed25519 public key with which it signs from now on; else as before")
    .addHelpText("after", "\nExample:\n  rastro machine readmit press-1 --json");
  act(readmit, (id: string, options: { publicKey?: string }) => runReadmit(terminal, id, options.publicKey ?? null));

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
  const given = {
    id,
    publicKey: options.publicKey ?? null,
    signsIn: options.neverSignsIn !== true,
    speaksFor: options.speaksFor ?? [],
  };
  const request = parseValue(MachineAddRequest, given, "the machine");
  const added = await withHub(terminal.env, (hub) => hub.directory.machineAdd(hub.bearer, request));
  return { data: added, text: `${added.id} is registered. ${signInText(request.signsIn, added.secret)}` };
}

function signInText(signsIn: boolean, secret: string | null): string {
  if (!signsIn) return "It never signs in.";
  return secret === null ? "It signs with its key." : `Its secret, shown this once: ${secret}`;
}

async function runSpeaksFor(
  terminal: Terminal,
  id: string,
  machines: string[],
  options: SpeaksForOptions,
): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const { SpeaksForRequest } = await import("../../lib/contracts/directory.ts");
  const { parseValue } = await import("../../lib/contracts/parse.ts");
  const { speaksFor: wanted } = parseValue(SpeaksForRequest, { speaksFor: machines }, "the machines");
  const set = await withHub(terminal.env, async ({ directory, bearer }) => {
    const registered = await directory.machineList(bearer);
    requireRegistered([id, ...wanted], registered);
    const before = options.also ? (registered.find(({ name }) => name === id)?.speaksFor ?? []) : [];
    return directory.speaksFor(bearer, id, { speaksFor: [...before, ...wanted] });
  });
  const others = set.speaksFor.filter((machine) => machine !== id);
  return { data: set, text: `${id} speaks for itself${others.length === 0 ? " only" : ` and ${others.join(", ")}`}.` };
}

async function runRevoke(terminal: Terminal, id: string): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  await withHub(terminal.env, (hub) => hub.directory.machineRevoke(hub.bearer, id));
  return { data: { id, active: false }, text: `${id} is revoked.` };
}

async function runReadmit(terminal: Terminal, id: string, publicKey: string | null): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const added = await withHub(terminal.env, (hub) => hub.directory.machineReadmit(hub.bearer, id, publicKey));
  const secret = added.secret === null ? "" : ` Its new secret, shown this once: ${added.secret}`;
  return { data: added, text: `${id} is let in again.${secret}` };
}

/** The directory takes any name; here one that nobody bears is a typing error. */
function requireRegistered(names: string[], registered: { name: string }[]): void {
  const unknown = names.find((name) => !registered.some((machine) => machine.name === name));
  if (unknown === undefined) return;
  throw new RastroError({
    code: "unknown_machine",
    message: `Setting for which machines one speaks failed: no machine ${unknown} is registered (rastro machine add ${unknown}).`,
    given: unknown,
    expected: "the id of a registered machine",
  });
}

async function runList(terminal: Terminal): Promise<Outcome> {
  const { withHub } = await import("../client/session.ts");
  const rows = await withHub(terminal.env, (hub) => hub.call("fleet", "machine-list", {}));
  return { data: rows, text: await machineTable(rows) };
}

async function runWatch(terminal: Terminal, options: ListOptions): Promise<Outcome> {
  const { watch } = await import("../client/watch.ts");
  return watch(terminal, options.json, async (hub) => machineTable(await hub.call("fleet", "machine-list", {})));
}

async function machineTable(rows: MachineRow[]): Promise<string> {
  const { localTime, table } = await import("../client/print.ts");
  return table(
    ["machine", "state", "since", "rate", "waiting", "software", "sign-in"],
    rows.map((row) => [
      row.id,
      stateOf(row),
      row.since === null ? null : localTime(row.since),
      row.rateHz === null ? null : `${row.rateHz.toFixed(1)} Hz`,
      row.waiting,
      row.app,
      row.credential,
    ]),
    "No machine is registered.",
  );
}

function stateOf({ online, why, duplicate, addresses }: MachineRow): string {
  const twice = duplicate === null ? "" : `, twice (${addresses.join(", ") || "addresses unknown"})`;
  return online ? `online${twice}` : `offline${why === null ? "" : ` (${why})`}${twice}`;
}
