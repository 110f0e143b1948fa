import type { Session } from "../../lib/contracts/directory.ts";
import { OPERATIONS } from "../../lib/contracts/operations.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";
import { openProbe, type Probe } from "./probe.ts";

/** The largest packets of ours: a batch of events with one of the largest records, and a record with its proof. */
const PACKET_BYTES = 128 * 1024;
const IN_FLIGHT = 40;
const ROUND_TRIPS = 30;
const SLOW_MS = 50;

export type AbilityOptions = {
  url: string;
  session: Session;
  /** Of this program. */
  version: string;
  now: () => number;
  /** Monotonic ms with decimals. */
  clock: () => number;
  /** Told apart from other calls. */
  id: string;
  /** How long to wait for each thing that should come. */
  timeoutMs: number;
};

/**
 * Tries on a broker what the rest of the system builds on, as whoever is signed in and on topics that the profile allows:
 * the broker's own figures, and requests with their answers.
 */
export async function checkAbilities(o: AbilityOptions): Promise<Finding[]> {
  const findings = await withProbe(o, "retained", (probe) => retained(o, probe));
  const readers: readonly string[] = OPERATIONS.fleet["machine-list"].profiles;
  if (!readers.includes(o.session.profile)) {
    const says = `packets, order and latency were not tried: the profile ${o.session.profile} may not ask services`;
    return [...findings, warn("broker", says, "sign in as somebody who may, such as an operator")];
  }
  for (const check of [overlapping, order, latency, largePacket]) {
    findings.push(await withProbe(o, check.name, (probe) => check(o, probe)));
  }
  return findings;
}

/** Each on a connection of its own: a packet that is refused ends it. */
async function withProbe<T>(o: AbilityOptions, name: string, work: (probe: Probe) => Promise<T>): Promise<T> {
  const probe = await openProbe({ ...o, id: `${o.id}-${name.toLowerCase()}` });
  try {
    return await work(probe);
  } finally {
    await probe.close();
  }
}

async function retained({ version, timeoutMs }: AbilityOptions, probe: Probe): Promise<Finding[]> {
  let said: string | null = null;
  probe.client.on("message", (topic, payload, { retain }) => {
    if (topic === "$SYS/broker/version" && retain) said = payload.toString();
  });
  const came = probe.collect(() => said !== null);
  await probe.client.subscribeAsync("$SYS/broker/#", { qos: 1 });
  await came;
  if (said === null) {
    const says = `a subscription with a wildcard brings no retained message within ${timeoutMs} ms`;
    return [fail("broker", says, "allow $SYS/broker/# to be read; presence and rights are told by retained messages")];
  }
  return [ok("broker", "retained messages come by wildcard"), judgeVersion(said, version)];
}

function judgeVersion(said: string, version: string): Finding {
  if (said === `rastro version ${version}`) return ok("versions", `the hub is of this program's version, ${version}`);
  if (!said.startsWith("rastro ")) return ok("versions", `another broker: ${said}`);
  const says = `the hub says "${said}", this program is of version ${version}`;
  return warn("versions", says, "bring both to the same version");
}

async function overlapping(o: AbilityOptions, probe: Probe): Promise<Finding> {
  await probe.client.subscribeAsync([probe.answers, `responses/${probe.user}/#`], { qos: 1 });
  const first = await probe.ask(1);
  const last = await probe.ask(2);
  // Whatever comes of the first has come before the answer to the second.
  const came = await probe.collect((topics) => topics.includes(first) && topics.includes(last));
  const copies = came.filter((topic) => topic === first).length;
  if (copies === 0) return noAnswer(o);
  return ok("broker", `overlapping subscriptions bring a message ${copies === 1 ? "once" : `${copies} times`}`);
}

async function order(o: AbilityOptions, probe: Probe): Promise<Finding> {
  await probe.client.subscribeAsync(probe.answers, { qos: 1 });
  const came = probe.collect((topics) => topics.length === IN_FLIGHT);
  const asked: string[] = [];
  for (let number = 0; number < IN_FLIGHT; number += 1) asked.push(await probe.ask(number));
  const answered = await came;
  if (answered.length < IN_FLIGHT) return noAnswer(o);
  if (answered.every((topic, index) => topic === asked[index])) {
    return ok("broker", `QoS 1 keeps the order of ${IN_FLIGHT} requests and answers in flight`);
  }
  const todo = "look whether the broker or a bridge before it reorders QoS 1; events are then sent more than once";
  return warn("broker", `of ${IN_FLIGHT} requests in flight the answers came in another order`, todo);
}

async function latency(o: AbilityOptions, probe: Probe): Promise<Finding> {
  await probe.client.subscribeAsync(probe.answers, { qos: 1 });
  const took: number[] = [];
  for (let number = 0; number < ROUND_TRIPS; number += 1) {
    const begun = o.clock();
    const came = probe.collect((topics) => topics.length > 0);
    await probe.ask(number);
    if ((await came).length === 0) return noAnswer(o);
    took.push(o.clock() - begun);
  }
  const sorted = took.toSorted((one, other) => one - other);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const says = `from request to answer ${median.toFixed(1)} ms (median of ${ROUND_TRIPS}), at most ${(sorted.at(-1) ?? 0).toFixed(1)} ms`;
  return median < SLOW_MS
    ? ok("broker", says)
    : warn("broker", says, "look for what else uses the hub's processor or disk");
}

async function largePacket(_o: AbilityOptions, probe: Probe): Promise<Finding> {
  await probe.client.subscribeAsync(probe.answers, { qos: 1 });
  const came = probe.collect((topics) => topics.length > 0);
  await probe.ask(0, PACKET_BYTES);
  if ((await came).length > 0) return ok("broker", `packets of ${PACKET_BYTES / 1024} KiB are taken`);
  const todo = "raise RASTRO_MAX_PACKET_BYTES at the hub (message_size_limit or max_packet_size of Mosquitto)";
  return fail("broker", `a packet of ${PACKET_BYTES / 1024} KiB is not taken`, todo);
}

function noAnswer({ timeoutMs }: AbilityOptions): Finding {
  const says = `requests to the fleet service get no answer within ${timeoutMs} ms`;
  return fail("broker", says, "look into the output of npm start");
}
