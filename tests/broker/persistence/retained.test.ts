import type { AedesPublishPacket } from "aedes";
import { expect, it, onTestFinished } from "vitest";
import { keys } from "../../../broker/persistence/keys.ts";
import { openPersistence } from "../../../broker/persistence/persistence.ts";
import { decodeMessage } from "../../../broker/persistence/stored-message.ts";
import { openMemory } from "../../../lib/storage/level/database.ts";
import { Store } from "../../../lib/storage/store/store.ts";
import { FaultyDatabase } from "../../suites/faulty-database.ts";

/* What a start of the hub would find of a topic on which retained messages of QoS 0 and QoS 1 meet. */

const TOPIC = "machines/ipc-01/presence";

function retained(text: string, qos: 0 | 1): AedesPublishPacket {
  const about = { brokerId: "hub", brokerCounter: 1, retain: true, dup: false } as const;
  return { cmd: "publish", topic: TOPIC, payload: Buffer.from(text), qos, ...about };
}

/** A persistence in which a group is on its way to a disk that holds it until `release`. */
async function whileOneIsWritten() {
  const database = new FaultyDatabase(await openMemory());
  const persistence = await openPersistence({ store: await Store.onDatabase(database, "the test's store") });
  onTestFinished(() => persistence.close());
  await persistence.storeRetained(retained("before", 0));
  await persistence.flush();
  const release = database.hold();
  const first = persistence.keep({ ...retained("other", 1), topic: "machines/ipc-02/presence" }, null)?.stored;
  await expect.poll(() => database.batches.at(-1)?.some(({ key }) => key.includes("ipc-02"))).toBe(true);
  return { database, persistence, release, first };
}

function onDisk(database: FaultyDatabase): string | undefined {
  const bytes = database.getSync(keys.retained(TOPIC));
  return bytes === undefined ? undefined : decodeMessage(bytes)?.payload.toString();
}

it("an older one of QoS 0 that is flushed while one of QoS 1 waits for its group does not take its place", async () => {
  const { database, persistence, release, first } = await whileOneIsWritten();
  await persistence.storeRetained(retained("older", 0));
  const kept = persistence.keep(retained("acknowledged", 1), null);
  const flushed = persistence.flush();
  release();
  await Promise.all([first, kept?.stored, flushed]);
  expect(onDisk(database)).toBe("acknowledged");
  kept?.publish();
  await persistence.flush();
  expect(onDisk(database)).toBe("acknowledged");
});

it("nor does one of QoS 0 that readers see meanwhile, until the one of QoS 1 follows it", async () => {
  const { database, persistence, release, first } = await whileOneIsWritten();
  const kept = persistence.keep(retained("acknowledged", 1), null);
  await persistence.storeRetained(retained("meanwhile", 0));
  const flushed = persistence.flush();
  release();
  await Promise.all([first, kept?.stored, flushed]);
  await persistence.flush();
  expect(onDisk(database)).toBe("acknowledged");
  kept?.publish();
  await persistence.storeRetained(retained("after", 0));
  await persistence.flush();
  expect(onDisk(database)).toBe("after");
});

it("of two of QoS 1 that wait, the one that readers see last is what a start finds", async () => {
  const { database, persistence, release, first } = await whileOneIsWritten();
  const one = persistence.keep(retained("staged first", 1), null);
  const two = persistence.keep(retained("staged second", 1), null);
  release();
  await Promise.all([first, one?.stored, two?.stored]);
  two?.publish();
  await persistence.flush();
  one?.publish();
  await persistence.flush();
  expect(onDisk(database)).toBe("staged first");
});

it("one of QoS 1 that was refused is not written when the disk has room again", async () => {
  const { database, persistence, release, first } = await whileOneIsWritten();
  const recovered = Promise.withResolvers<void>();
  persistence.onFault((reason) => {
    if (reason === null) recovered.resolve();
  });
  const refused = persistence.keep(retained("refused", 1), null);
  database.faults.push("not-written");
  release();
  await first;
  await expect(refused?.stored).rejects.toMatchObject({ code: "store_unusable" });
  database.batches.length = 0;
  await recovered.promise;
  expect(database.batches).toHaveLength(1);
  expect(onDisk(database)).toBe("before");
});
