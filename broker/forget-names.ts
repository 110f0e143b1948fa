import type { AedesPublishPacket } from "aedes";
import { filters, parsePrincipal } from "../lib/contracts/topics.ts";
import type { Store } from "../lib/storage/store/store.ts";
import { userOf } from "./connect-persistence.ts";
import type { Directory } from "./directory/directory.ts";
import type { Persistence } from "./persistence/persistence.ts";

type Sessions = Pick<Persistence, "clientIds" | "endSession" | "createRetainedStream" | "storeRetained" | "flush">;

/**
 * Has the hub's own store forget who was erased: sessions with their queues, and what was said of the name. What is
 * found of a name that nobody has is dropped; an erasure waits until no file has it any more.
 *
 * Called before the hub is open to anybody, and finishes the erasures that were cut short.
 *
 * @param o.store - what the persistence is on.
 * @returns what does the same for an erasure; to be called last, since whoever clears something of the name has it
 *   written once more.
 */
export async function forgetErasedNames(o: {
  directory: Pick<Directory, "register" | "erasuresCutShort" | "finishErasures">;
  persistence: Sessions;
  store: Pick<Store, "rewrite">;
}): Promise<() => Promise<void>> {
  const { directory, persistence } = o;
  const isKnown = (name: string) => directory.register.principal(name) !== undefined;

  async function leaveNothing(): Promise<void> {
    await persistence.flush();
    await o.store.rewrite();
  }

  const cutShort = directory.erasuresCutShort();
  if ((await dropStrangers(persistence, isKnown)) > 0 || cutShort > 0) await leaveNothing();
  if (cutShort > 0) await directory.finishErasures();
  return async () => {
    await dropStrangers(persistence, isKnown);
    await leaveNothing();
  };
}

/** @returns how much was dropped. */
async function dropStrangers(persistence: Sessions, isKnown: (name: string) => boolean): Promise<number> {
  const strangers = [...persistence.clientIds()].filter((id) => !isKnown(userOf(id)));
  for (const id of strangers) await persistence.endSession(id);
  const topics: string[] = [];
  for await (const packet of persistence.createRetainedStream(filters.everyPrincipal)) {
    const { topic } = packet as AedesPublishPacket;
    const name = parsePrincipal(topic);
    if (name !== null && !isKnown(name)) topics.push(topic);
  }
  for (const topic of topics) await persistence.storeRetained(emptied(topic));
  return strangers.length + topics.length;
}

/** Clears a topic [MQTT-3.3.1-10]. */
function emptied(topic: string): AedesPublishPacket {
  return {
    cmd: "publish",
    brokerId: "",
    brokerCounter: 0,
    topic,
    payload: Buffer.alloc(0),
    qos: 1,
    retain: true,
    dup: false,
  };
}
