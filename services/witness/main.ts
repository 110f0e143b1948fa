import { formatVerifierKey, type VerifierKey } from "../../lib/ledger/signed-note.ts";
import { RastroError } from "../../lib/contracts/errors.ts";
import { type ProcessContext, runProcess } from "../../lib/runtime/process.ts";
import { storeFigures } from "../../lib/storage/figures.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { openWitness, type OpenWitness } from "../../lib/witness/open-witness.ts";
import { followLogs, type FollowedLogs, originsOf, readTrustedLogs } from "../../lib/witness/trusted-logs.ts";
import { createAskingGate } from "./asking-gate.ts";
import { witnessRoutes } from "./http.ts";
import { joinPlant } from "./join-plant.ts";
import { listen } from "./listen.ts";
import { readWitnessSettings, type WitnessSettings } from "./settings.ts";

const NAME = "witness";
/** How soon it is noticed that somebody has cleared an alarm, ms. */
const LOOK_EVERY_MS = 5000;

await runProcess(NAME, start);

/** Puts the process together. What is opened first is closed last. */
async function start(context: ProcessContext): Promise<void> {
  const { settings, folders, health } = context;
  const own = readWitnessSettings(process.env);
  // Its lock keeps a second process from cosigning with the same key.
  const store = await Store.openFolder(folders.agentOutbox(settings.machine));
  context.onStop(() => store.close());
  health.metrics.add(...storeFigures({ outbox: store }));

  const logs = await trustedLogs(own.logs ?? folders.agentWitnessedLogs(settings.machine));
  const opened = await open(context, own, logs);
  const joined = settings.externalBroker ? await joinPlant(context, { store, opened, logs }) : null;
  const url = await openPort(context, own, { opened, logs });
  tell({ url, key: opened.witness.key, logs, machine: settings.machine, joined });
}

async function trustedLogs(file: string): Promise<FollowedLogs> {
  const keys = (await readTrustedLogs(file)) ?? [];
  if (keys.length === 0) throw noLogs(file);
  return followLogs(keys);
}

async function open(
  { settings, folders, log, health, onStop }: ProcessContext,
  own: WitnessSettings,
  logs: FollowedLogs,
): Promise<OpenWitness> {
  const { machine } = settings;
  const opened = await openWitness({
    name: own.name ?? `${machine}/witness`,
    keyFile: folders.agentWitnessKey(machine),
    publicKeyFile: folders.agentWitnessPublicKey(machine),
    folder: folders.agentWitness(machine),
    logs,
    anybodyAsks: true,
    now: Date.now,
    log,
  });
  health.metrics.add(...opened.figures);
  health.showAlarms(() => opened.findings.all().map(({ message }) => message));
  const looking = setInterval(() => void opened.findings.look(), LOOK_EVERY_MS);
  onStop(() => clearInterval(looking));
  return opened;
}

/** Plain HTTP stays on loopback unless plain text is allowed everywhere; TLS is what opens to the network. */
async function openPort(
  { settings, log, health, onStop }: ProcessContext,
  { port, tls, proxies }: WitnessSettings,
  { opened, logs }: { opened: OpenWitness; logs: FollowedLogs },
): Promise<string> {
  const { witness } = opened;
  const host = tls === null ? settings.host : settings.tlsHost;
  const gate = createAskingGate({ proxies, clock: () => performance.now() });
  health.metrics.add(...gate.figures);
  const listening = await listen(witnessRoutes({ witness, logs, log }), { host, port, tls, gate });
  onStop(() => listening.close());
  log.info({ url: listening.url, vkey: formatVerifierKey(witness.key) }, "logs can ask this witness");
  return listening.url;
}

/** What its operator carries to the plant. On stderr, since the log is on stdout. */
function tell(o: {
  url: string;
  key: VerifierKey;
  logs: FollowedLogs;
  machine: string;
  /** By which key it signs in at a hub; null where it has not joined a plant. */
  joined: string | null;
}): void {
  const lines = [
    `witness  ${formatVerifierKey(o.key)}`,
    `asked at ${o.url}/add-checkpoint`,
    `follows  ${originsOf(o.logs).join(", ")}`,
    ...(o.joined === null ? [] : [`joins as ${o.machine}, with the key ${o.joined}`]),
  ];
  process.stderr.write(`${lines.join("\n")}\n`);
}

function noLogs(file: string): RastroError {
  return new RastroError({
    code: "bad_setting",
    message: `Starting the witness failed: ${file} names no log; put the hub's keys/books/*.pub there, a line each, or name another file in RASTRO_WITNESS_LOGS.`,
    field: "RASTRO_WITNESS_LOGS",
    given: file,
    expected: "a file with a vkey a line",
  });
}
