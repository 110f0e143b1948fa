import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { onTestFinished } from "vitest";
import type { AccessEvent } from "../../broker/access-events.ts";
import type { Hub, HubOptions } from "../../broker/hub.ts";
import { startHub } from "../../broker/start-hub.ts";
import type { Profile } from "../../lib/contracts/directory.ts";
import { type Inbox, inboxOf } from "./inbox.ts";
import { fixedAuthenticator, principal } from "./principals.ts";
import { openRaw, type RawMqtt } from "./raw-mqtt.ts";
import { SILENT } from "./silent.ts";

/** A hub without a directory, for one test; closed with it. */
export type PlainHub = {
  hub: Hub;
  access: AccessEvent[];
  connect: (user: string, options?: IClientOptions) => Promise<MqttClient>;
  /** Connects a session that may have messages waiting: the inbox is there before the first of them. */
  resume: (user: string, options: IClientOptions) => Promise<Inbox>;
  raw: () => Promise<RawMqtt>;
};

export async function startPlainHub(
  users: Readonly<Record<string, Profile>>,
  o: Partial<HubOptions> = {},
): Promise<PlainHub> {
  const access: AccessEvent[] = [];
  const principals = Object.entries(users).map(([name, profile]) => principal(name, profile));
  const hub = await startHub({
    host: "127.0.0.1",
    port: 0,
    authenticator: fixedAuthenticator(principals),
    log: SILENT,
    onAccess: (event) => access.push(event),
    ...o,
  });
  const clients: MqttClient[] = [];
  const raws: RawMqtt[] = [];
  onTestFinished(async () => {
    await Promise.all(clients.map((client) => client.endAsync(true)));
    for (const { socket } of raws) socket.destroy();
    await hub.close();
  });
  const open = (user: string, options: IClientOptions) => {
    const base: IClientOptions = { protocolVersion: 4, reconnectPeriod: 0, username: user, password: `${user}-pass` };
    const client = mqtt.connect(hub.url, { ...base, ...options });
    clients.push(client);
    const connected = new Promise<void>((resolve, reject) => {
      client.once("connect", () => resolve());
      client.on("error", reject);
    });
    return { client, connected };
  };
  return {
    hub,
    access,
    async connect(user, options = {}) {
      const { client, connected } = open(user, options);
      await connected;
      return client;
    },
    async resume(user, options) {
      const { client, connected } = open(user, options);
      const inbox = inboxOf(client);
      await connected;
      return inbox;
    },
    async raw() {
      const raw = await openRaw(hub.url);
      raws.push(raw);
      return raw;
    },
  };
}
