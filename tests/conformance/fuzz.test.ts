import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { inboxOf } from "../support/inbox.ts";
import { createMutations, seededRandom } from "../support/mutations.ts";
import { startPlainHub } from "../support/plain-hub.ts";
import { connectPacket, isConnack, openRaw } from "../support/raw-mqtt.ts";
import { watch } from "../support/until.ts";

/** The same seed sends the same packets: RASTRO_FUZZ_SEED, RASTRO_FUZZ_PACKETS, and no longer than RASTRO_FUZZ_MS. */
const SEED = Number(process.env["RASTRO_FUZZ_SEED"] ?? Date.now() % 1_000_000);
const PACKETS = Number(process.env["RASTRO_FUZZ_PACKETS"] ?? 200_000);
const TIME_BOX_MS = Number(process.env["RASTRO_FUZZ_MS"] ?? 12_000);

const USERS = { scada: "scada", "ipc-a": "machine", "ipc-f": "machine", eyes: "inspector", maria: "operator" } as const;
const HOSTILE = ["ipc-f", "eyes", "maria", undefined] as const;
const TOPICS = [
  "machines/ipc-f/status",
  "machines/ipc-f/summary",
  "machines/ipc-f/events/audit",
  "machines/ipc-a/status",
  "a/b",
  "$SYS/x",
];
/** Connections that send at once, and packets of each. */
const AT_ONCE = 20;
const PER_CONNECTION = 10;
/** What may be left of them on the heap: sessions and queues that the packets themselves asked for. */
const HEAP_BYTES = 50 * 1024 * 1024;

it(`spoiled packets harm nobody but their sender (seed ${SEED})`, { timeout: TIME_BOX_MS + 60_000 }, async (test) => {
  const { hub, connect } = await startPlainHub(USERS, { onAccess: () => undefined });
  const random = seededRandom(SEED);
  const mutations = createMutations({ random, topics: TOPICS });
  const scada = await connect("scada");
  const inbox = inboxOf(scada);
  await scada.subscribeAsync(["machines/ipc-a/status", "machines/ipc-a/summary"], { qos: 1 });
  const machine = await connect("ipc-a");
  const faults: unknown[] = [];
  const onFault = (fault: unknown) => faults.push(fault);
  process.on("unhandledRejection", onFault);
  test.onTestFinished(() => void process.off("unhandledRejection", onFault));

  /** Connects, mostly signs in, sends and ends. */
  const attack = async () => {
    const connection = await openRaw(hub.url);
    const user = mutations.pick(HOSTILE);
    if (user !== undefined) {
      connection.send(connectPacket(user, { clientId: `f-${mutations.below(8)}`, clean: random() < 0.7 }));
      await Promise.race([connection.next(isConnack), connection.closed]);
    }
    let sent = 0;
    for (; sent < PER_CONNECTION && !connection.socket.destroyed; sent += 1) connection.sendBytes(mutations.next());
    connection.socket.end();
    connection.socket.resume();
    await connection.closed;
    return sent;
  };

  const before = heapInUse();
  const startedAt = performance.now();
  let packets = 0;
  let healthy = 0;
  while (packets < PACKETS && performance.now() - startedAt < TIME_BOX_MS) {
    const round = Array.from({ length: AT_ONCE }, attack);
    healthy += 1;
    machine.publish("machines/ipc-a/status", String(healthy), { retain: true });
    await machine.publishAsync("machines/ipc-a/summary", String(healthy), { qos: 1 });
    for (const count of await Promise.all(round)) packets += count;
  }
  await inbox.until((messages) => messages.filter(({ topic }) => topic.endsWith("summary")).length >= healthy);
  const took = Math.round(performance.now() - startedAt);

  for (const leaf of ["status", "summary"]) {
    const values = inbox.messages.filter(({ topic }) => topic.endsWith(leaf)).map(({ text }) => Number(text));
    expect(values).toEqual(Array.from({ length: healthy }, (_, index) => index + 1));
  }
  expect(faults).toEqual([]);
  const connected = watch(hub);
  const look = setInterval(() => connected.changed(), 5);
  test.onTestFinished(() => clearInterval(look));
  await connected.until(() => hub.connected() === 2);
  const grown = heapInUse() - before;
  const said = `${packets} packets of ${PACKETS} in ${took} ms, seed ${SEED}; the heap has grown by ${Math.round(grown / 1024)} KiB`;
  console.log(said);
  await test.annotate(said);
  expect(grown).toBeLessThan(HEAP_BYTES);
});

/** Bytes that are reachable, after a collection. */
function heapInUse(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}
