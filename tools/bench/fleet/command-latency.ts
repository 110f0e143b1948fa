import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { v7 } from "uuid";
import { filters, parseCommandAnswer } from "../../../lib/contracts/topics.ts";
import { type Link, openLink } from "../../../lib/messaging/link.ts";
import type { Requester } from "../../../lib/messaging/request-client.ts";
import { foldersOf } from "../../../lib/runtime/folders.ts";
import { importKey, loadOrCreateKey } from "../../../lib/runtime/keys.ts";
import { createTokens } from "../../../lib/runtime/token.ts";
import type { BenchPlant } from "../bench-plant.ts";

const log = pino({ level: "silent" });
const WITHIN_MS = 10_000;
/** Before those that count: code is compiled, files are opened. */
const WARM_UP = 20;

/** Milliseconds: from the person's request, and from the command at the machine, each to the acknowledgement. */
export type CommandTimes = { whole: number[]; machine: number[] };

/**
 * Sends pings one after the other. The acknowledgement is seen as the fleet sees it, and the command as the machine does, each
 * on a connection of its own, so that both are timed by the same clock.
 */
export async function measureCommands(o: {
  plant: BenchPlant;
  requester: Requester;
  agents: readonly { id: string; key: string }[];
  count: number;
}): Promise<CommandTimes> {
  const { plant, agents } = o;
  const tokens = (name: string, privateKey: Parameters<typeof createTokens>[0]["privateKey"]) =>
    createTokens({ name, plant: plant.plantId, privateKey, now: Date.now, random: randomBytes });
  const open = async (name: string, key: Parameters<typeof tokens>[1]) => {
    const { brokerUrl: url } = plant.settings;
    const link = openLink({ url, name, password: tokens(name, key), log, random: randomBytes });
    await link.whenConnected({ timeoutMs: WITHIN_MS });
    return link;
  };
  const fleetKey = await loadOrCreateKey(foldersOf(plant.settings.data).serviceKey("fleet"));
  const links: Link[] = [await open("fleet", fleetKey.privateKey)];
  for (const { id, key } of agents) links.push(await open(id, importKey(key).privateKey));
  try {
    return await pingAll(o, links);
  } finally {
    for (const link of links) await link.close();
  }
}

async function pingAll(o: Parameters<typeof measureCommands>[0], links: readonly Link[]): Promise<CommandTimes> {
  const times: CommandTimes = { whole: [], machine: [] };
  let cameAt = 0;
  let onAck = (_at: number) => {};
  const [fleet, ...machines] = links;
  await fleet?.subscribe(filters.everyCommandAnswer, (topic) => {
    if (parseCommandAnswer(topic)?.kind === "ack") onAck(performance.now());
  });
  for (const link of machines) {
    await link.subscribe(filters.commandsTo(link.name), () => void (cameAt = performance.now()));
  }
  for (let turn = 0; turn < WARM_UP + o.count; turn += 1) {
    const machine = o.agents[turn % o.agents.length]?.id ?? "";
    const acknowledged = new Promise<number>((resolve) => (onAck = resolve));
    const askedAt = performance.now();
    await o.requester.call("fleet", "command-send", { id: v7(), machine, name: "ping" });
    const at = await acknowledged;
    if (turn < WARM_UP) continue;
    times.whole.push(at - askedAt);
    times.machine.push(at - cameAt);
  }
  return times;
}
