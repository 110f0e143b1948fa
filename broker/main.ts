import { randomBytes } from "node:crypto";
import { sign } from "../lib/ledger/signature.ts";
import { openLink } from "../lib/messaging/link.ts";
import { createOutboxSender } from "../lib/messaging/outbox-sender.ts";
import { loadOrCreateKey } from "../lib/runtime/keys.ts";
import { openPlant } from "../lib/runtime/plant.ts";
import { type ProcessContext, runProcess } from "../lib/runtime/process.ts";
import { createRefusals } from "../lib/runtime/refusals.ts";
import { signToken } from "../lib/runtime/token.ts";
import { watchAccess } from "./access-log.ts";
import { announcePrincipals } from "./directory/announce.ts";
import { directoryRoutes } from "./directory/http.ts";
import { openDirectoryOf } from "./directory/stores.ts";
import { keepSessions } from "./keep-sessions.ts";
import { startHub } from "./start-hub.ts";

const SESSIONS_EVERY_MS = 10 * 60_000;
const LINK_TIMEOUT_MS = 10_000;

await runProcess("broker", start);

/** Puts hub and directory together. What is opened first is closed last. */
async function start(context: ProcessContext): Promise<void> {
  const { settings, folders, log, health } = context;
  const now = Date.now;
  const random = randomBytes;
  const plant = await openPlant({ data: settings.data, now, random });
  const { directory, close } = await openDirectoryOf({ folders, plant, tz: settings.tz, log, now, random });
  let directoryOpen = true;
  context.onStop(async () => {
    directoryOpen = false;
    await close();
  });

  const refusals = createRefusals({ emit: (report) => log.warn(report, "refused"), now });
  context.onStop(() => refusals.close());
  const access = watchAccess({ refusals, log });

  const hub = await startHub({
    host: settings.host,
    port: settings.mqttPort,
    wsPort: settings.wsPort,
    maxPacketBytes: settings.maxPacketBytes,
    authenticator: directory.credentials,
    onAccess: access.ofConnection,
    log,
  });
  context.onStop(() => hub.close());
  context.onStop(keepSessions({ hub, directory, everyMs: SESSIONS_EVERY_MS, log }));

  const serviceKey = await loadOrCreateKey(folders.serviceKey("directory"));
  const password = () =>
    signToken({
      sub: "directory",
      aud: plant.id,
      privateKey: serviceKey.privateKey,
      now,
      nonce: random(8).toString("hex"),
    });
  const link = openLink({ url: hub.url, name: "directory", password, log, random });
  context.onStop(() => link.close());
  const signing = await loadOrCreateKey(folders.directoryKey);
  announcePrincipals({ directory, link, sign: (bytes) => sign(signing.privateKey, bytes), log });
  const owner = { kind: "services", name: "directory" } as const;
  const sender = createOutboxSender({ link, outbox: directory.outbox, owner, log, now });
  sender.start();
  context.onStop(() => sender.stop());
  // Whoever starts after this finds every principal announced.
  await link.whenConnected({ timeoutMs: LINK_TIMEOUT_MS });

  health.check("hub", () => hub.listening() || "the hub does not listen");
  health.check("directory", () => directoryOpen || "the directory is closed");
  health.check("directory link", () => link.connected || "the directory is not connected to the hub");
  health.mount(directoryRoutes({ directory, now, log, onRefused: access.ofRequest }));
}
