import type { MqttClient } from "mqtt";

export type Arrived = { topic: string; text: string; qos: number; retain: boolean };

/** Everything that a client receives, and waiting for it. */
export type Inbox = {
  messages: Arrived[];
  /** Resolves with the first message on the topic, whether it has come already or not. */
  on(topic: string): Promise<Arrived>;
  /** Resolves once `done` holds. */
  until(done: (messages: Arrived[]) => boolean): Promise<void>;
};

export function inboxOf(client: MqttClient): Inbox {
  const messages: Arrived[] = [];
  const waiting = new Set<() => void>();
  client.on("message", (topic, payload, packet) => {
    messages.push({ topic, text: payload.toString(), qos: packet.qos, retain: packet.retain });
    for (const look of waiting) look();
  });
  const until = (done: (messages: Arrived[]) => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!done(messages)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  const find = (topic: string) => messages.find((message) => message.topic === topic);
  return {
    messages,
    until,
    async on(topic) {
      await until(() => find(topic) !== undefined);
      return find(topic) as Arrived;
    },
  };
}
