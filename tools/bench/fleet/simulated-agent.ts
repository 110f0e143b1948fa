import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { pino } from "pino";
import { v7 } from "uuid";
import { startCommands } from "../../../edge-agent/commands/start-commands.ts";
import type { Status, Summary } from "../../../lib/contracts/machine.ts";
import { topics } from "../../../lib/contracts/topics.ts";
import { importPublicKey, sign } from "../../../lib/ledger/signature.ts";
import { type Link, openLink } from "../../../lib/messaging/link.ts";
import { createPresence } from "../../../lib/messaging/presence.ts";
import { createRepeats } from "../../../lib/messaging/repeats.ts";
import { after } from "../../../lib/messaging/timing.ts";
import { importKey } from "../../../lib/runtime/keys.ts";
import { createTokens } from "../../../lib/runtime/token.ts";
import { Outbox } from "../../../lib/storage/outbox/outbox.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import type { Cast } from "./pool-messages.ts";

const log = pino({ level: "silent" });
const now = Date.now;
const clock = () => performance.now();
const APP = "edge-agent@bench";

export type SimulatedAgent = {
  /** Its sockets close without a word, as those of a process that is killed, and it does not come back. */
  kill(): void;
};

/**
 * An agent as the hub and the fleet see one: two connections, presence, a summary each second, and the agent's own
 * way with commands, its journal on disk. Its statuses are made up, and fewer than a thousand a second.
 */
export async function startSimulatedAgent(cast: Cast, { id, key }: Cast["agents"][number]): Promise<SimulatedAgent> {
  const { privateKey, fingerprint } = importKey(key);
  const password = createTokens({ name: id, plant: cast.plant, privateKey, now, random: randomBytes });
  const about = { machine: id, boot: randomBytes(8).toString("hex"), app: APP, key: fingerprint };
  const presence = createPresence({ about, now, repeats: createRepeats({ after, clock }), after, log });
  const options = { url: cast.url, name: id, password, log, random: randomBytes };
  const status = openLink(options);
  const dealings = openLink({ ...options, will: (connection) => presence.will(connection) });
  await takeCommands(cast, id, dealings, (bytes) => sign(privateKey, bytes));
  await presence.follow(dealings);
  const stop = report(id, { status, dealings, hz: cast.statusHz });
  return {
    kill() {
      stop();
      for (const link of [status, dealings]) {
        link.stream()?.destroy();
        void link.close();
      }
    },
  };
}

async function takeCommands(
  { folder, commandKey }: Cast,
  machine: string,
  link: Link,
  signEvent: (bytes: Uint8Array) => string,
): Promise<void> {
  const store = await Store.openFolder(join(folder, machine));
  const outbox = { store, book: "audit", name: machine, app: APP, sign: signEvent, random: randomBytes, now } as const;
  const acts = await Outbox.open(outbox);
  startCommands({
    machine,
    key: importPublicKey(Buffer.from(commandKey, "base64")),
    link,
    store,
    acts,
    hubTime: { ask: async () => now(), offsetMs: () => 0 },
    moment: () => ({
      id: v7(),
      at: new Date(now()).toISOString(),
      tz: "UTC",
      clock: { source: "unknown", offsetMs: null },
    }),
    now,
    clock,
    log,
  });
}

/** @returns ends it. */
function report(machine: string, o: { status: Link; dealings: Link; hz: number }): () => void {
  let seq = 0;
  const sendStatus = () => {
    const figures = { state: null, cpu: 100, mem: 500, disk: 500, lot: null, good: null, scrap: null };
    const status: Status = { v: 1, seq: seq++, t: now(), ...figures };
    if (o.status.connected) {
      o.status.publish(topics.status(machine), JSON.stringify(status), { retain: true }).catch(() => undefined);
    }
  };
  const sendSummary = () => {
    if (!o.dealings.connected) return;
    const text = JSON.stringify(summaryAt(now(), o.hz));
    o.dealings.publish(topics.summary(machine), text, { retain: true }).catch(() => undefined);
  };
  const timers = [setInterval(sendStatus, 1000 / o.hz), setInterval(sendSummary, 1000)];
  return () => timers.forEach((timer) => clearInterval(timer));
}

function summaryAt(t: number, hz: number): Summary {
  const every = Math.round(1_000_000 / hz);
  return {
    v: 1,
    t,
    app: APP,
    host: { os: "simulated", arch: process.arch, cpus: 1, node: process.version },
    uptimeS: { agent: 1, host: 1 },
    status: { rateMilliHz: hz * 1000, gapUs: { p50: every, p99: every, max: every }, skipped: 0 },
    outbox: [],
    clock: { source: "unknown", offsetMs: null },
    memory: { totalMiB: null, usedMiB: null },
    disks: [],
    network: [],
    temperature: null,
    agentCpu: null,
    agentRssMiB: 0,
    witness: [],
  };
}
