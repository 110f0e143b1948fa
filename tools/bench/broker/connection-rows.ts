import { once } from "node:events";
import { createRequester } from "../../../lib/messaging/request-client.ts";
import { v7 as newId } from "uuid";
import { startBenchPlant } from "../bench-plant.ts";
import { startChild, stopChild } from "../child.ts";
import { type Broker, BROKERS, type BrokerKind, MOSQUITTO, OURS } from "./brokers.ts";
import type { ConnectOrder, Qos1Order } from "./connection-process.ts";
import { inTurn, median, type Result } from "./rows.ts";

type Options = { hubCore: number | null; core: number | null; rounds: number; seconds: number };

const KINDS: readonly BrokerKind[] = BROKERS.filter(({ name }) => name === OURS || name === MOSQUITTO);

/** g: QoS 1 publishes a second with so many in flight, while a durable subscriber is away. Ours syncs, Mosquitto does not. */
export async function qos1Row(o: Options & { inFlight: number }): Promise<Result[]> {
  const start = { core: o.hubCore, machines: 1, tokens: 0, persistent: true };
  return compare(o, start, "QoS 1, a durable subscriber away", "publishes/s", (broker) => ({
    job: "qos1",
    port: broker.port,
    reader: broker.reader,
    publisher: broker.machines[0] ?? broker.reader,
    inFlight: o.inFlight,
    seconds: o.seconds,
    bytes: 250,
  }));
}

/** h: so many clients at once until all are in; on ours each by a token that its own key signed, on Mosquitto anonymously. */
export async function connectRow(o: Options & { clients: number }): Promise<Result[]> {
  const start = { core: o.hubCore, machines: 0, tokens: o.clients };
  return compare(o, start, `${o.clients} clients connect at once`, "ms until all are in", (broker) => ({
    job: "connect",
    port: broker.port,
    clients: broker.tokens(),
  }));
}

async function compare(
  o: Options,
  start: Parameters<BrokerKind["start"]>[0],
  row: string,
  what: string,
  orderFor: (broker: Broker) => ConnectOrder | Qos1Order,
): Promise<Result[]> {
  const brokers: Broker[] = [];
  try {
    for (const kind of KINDS) {
      const broker = await kind.start(start);
      if (broker !== null) brokers.push(broker);
    }
    const measured = await inTurn(brokers, o.rounds, (broker) => carryOut(o, orderFor(broker)));
    return [...measured].map(([broker, figures]) => ({
      row,
      broker: broker.name,
      what,
      figure: median(figures),
      remark: `${Math.round(Math.min(...figures))} to ${Math.round(Math.max(...figures))}`,
      instrumentPct: null,
    }));
  } finally {
    for (const broker of brokers.toReversed()) await broker.close();
  }
}

async function carryOut(o: Options, order: ConnectOrder | Qos1Order): Promise<number> {
  const child = await startChild("tools/bench/broker/connection-process.ts", { PATH: process.env["PATH"] }, [], o.core);
  try {
    const answer = once(child, "message");
    const ended = once(child, "exit").then(() => Promise.reject(new Error("the connections' process ended")));
    child.send(order);
    return (await Promise.race([answer, ended]))[0] as number;
  } finally {
    await stopChild(child);
  }
}

/** Tries to sign in that run at any time. */
const AT_ONCE = 100;

/** i: an entry until its receipt, with and without a hundred people signing in by password all the while. */
export async function signInsRow(o: Pick<Options, "rounds" | "seconds">): Promise<Result[]> {
  const plant = await startBenchPlant(["services/audit/main.ts", "services/production/main.ts"]);
  try {
    const { user, session } = plant.session;
    const ask = createRequester({ link: plant.link, user, session, newId, now: Date.now });
    const bearer = { name: user, token: plant.session.token };
    const password = "a password to sign in with";
    await plant.directory.userAdd(bearer, { name: "crowd", profile: "operator", password });
    const enter = async () => {
      const fields = { machine: "bench-1", lot: "L-1", good: 1 };
      await ask.call("production", "entry-add", { id: newId(), at: new Date().toISOString(), tz: "UTC", fields });
    };
    const calm: number[] = [];
    const crowded: number[] = [];
    for (let round = 0; round < o.rounds; round += 1) {
      calm.push(await p99Ms(enter, o.seconds));
      const crowd = signInAllTheTime(() => plant.directory.signIn({ user: "crowd", password, app: "bench" }));
      crowded.push(await p99Ms(enter, o.seconds));
      await crowd.stop();
    }
    const ratio = median(crowded.map((value, round) => value / (calm[round] ?? Number.NaN)));
    return [
      {
        row: `${AT_ONCE} people sign in at once`,
        broker: OURS,
        what: "p99 entry → receipt, times without",
        figure: ratio,
        remark: `${median(crowded).toFixed(1)} ms against ${median(calm).toFixed(1)} ms`,
        instrumentPct: null,
      },
    ];
  } finally {
    await plant.close();
  }
}

async function p99Ms(act: () => Promise<void>, seconds: number): Promise<number> {
  const took: number[] = [];
  for (const ends = performance.now() + seconds * 1000; performance.now() < ends;) {
    const began = performance.now();
    await act();
    took.push(performance.now() - began);
  }
  took.sort((a, b) => a - b);
  return took[Math.max(0, Math.ceil(took.length * 0.99) - 1)] ?? Number.NaN;
}

/** What a person needs to try again. */
const AGAIN_MS = 1000;

/** Who is told that the hub is busy tries again, as a person would. */
function signInAllTheTime(signIn: () => Promise<unknown>): { stop(): Promise<void> } {
  const stop = new AbortController();
  const person = async () => {
    while (!stop.signal.aborted) {
      await signIn().catch(() => new Promise((resolve) => setTimeout(resolve, AGAIN_MS)));
    }
  };
  const people = Array.from({ length: AT_ONCE }, person);
  return {
    async stop() {
      stop.abort();
      await Promise.all(people);
    },
  };
}
