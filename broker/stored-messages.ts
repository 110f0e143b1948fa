import type { AedesBroker } from "./aedes-internals.ts";

/** How many messages the persistence keeps. */
export interface StoredMessages {
  /** Topics with a retained message. */
  retained(): number;
}

/** Counts along with what is retained: no persistence says it, and reading all of them would cost what they weigh. */
export function watchStored(persistence: Pick<AedesBroker["persistence"], "storeRetained">): StoredMessages {
  const topics = new Set<string>();
  const store = persistence.storeRetained.bind(persistence);
  persistence.storeRetained = (packet) => {
    // An empty payload clears the topic [MQTT-3.3.1-10].
    if (packet.payload.length === 0) topics.delete(packet.topic);
    else topics.add(packet.topic);
    return store(packet);
  };
  return { retained: () => topics.size };
}
