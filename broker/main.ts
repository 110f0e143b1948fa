import { randomBytes } from "node:crypto";
import { v7 } from "uuid";
import manifest from "../package.json" with { type: "json" };
import { sign } from "../lib/ledger/signature.ts";
import { type Link, openLink } from "../lib/messaging/link.ts";
import { createOutboxSender } from "../lib/messaging/outbox-sender.ts";
import { loadOrCreateKey } from "../lib/runtime/keys.ts";
import { openPlant } from "../lib/runtime/plant.ts";
import { type ProcessContext, runProcess } from "../lib/runtime/process.ts";
import { createRefusals } from "../lib/runtime/refusals.ts";
import { loadOrCreateSecret } from "../lib/runtime/secret-file.ts";
import { createTokens } from "../lib/runtime/token.ts";
import { watchAlarms } from "../lib/runtime/alarms.ts";
import { outboxFigures } from "../lib/storage/figures.ts";
import { Outbox } from "../lib/storage/outbox/outbox.ts";
import { pruneRegularly } from "../lib/storage/prune-regularly.ts";
import { Store } from "../lib/storage/store/store.ts";
import { backUpHub, hubBackupOptions } from "./back-up.ts";
import { openAccessBook } from "./access-book.ts";
import type { OnAccess } from "./access-events.ts";
import { watchAccess } from "./access-log.ts";
import { announcePrincipals } from "./directory/announce.ts";
import type { Directory } from "./directory/directory.ts";
import { directoryRoutes, type OnRefusedRequest } from "./directory/http.ts";
import { openDirectoryOf } from "./directory/stores.ts";
import { isLoopback } from "./loopback.ts";
import { openTlsIdentity } from "./tls/open-identity.ts";
import { renewRegularly } from "./tls/renew.ts";
import { keepSessions } from "./keep-sessions.ts";
import { openSessionStore } from "./open-persistence.ts";
import { forgetErasedNames } from "./forget-names.ts";
import { followDirectory } from "./live-effect.ts";
import { diskCheck, hubAlarms } from "./hub-alarms.ts";
import { hubMetrics } from "./hub-metrics.ts";
import type { Persistence } from "./persistence/persistence.ts";
import type { Hub } from "./hub.ts";
import { startHub } from "./start-hub.ts";

/** How late the end of a session may be noticed. */
const SESSIONS_EVERY_MS = 60_000;
const LINK_TIMEOUT_MS = 10_000;
/** How often it is looked whether an alarm has to be raised. */
const LOOK_EVERY_MS = 5000;
/** What stands in the hub's own events. */
const APP = `broker@${manifest.version}`;

await runProcess("broker", start);

/** Puts hub and directory together. What is opened first is closed last. */
async function start(context: ProcessContext): Promise<void> {
  const { settings, folders, log, health } = context;
  const now = Date.now;
  const random = randomBytes;
  const plant = await openPlant({ data: settings.data, now, random });
  const forwarder = await loadOrCreateSecret(folders.consoleForwarding, random);
  const sessionLimits = { idleMs: settings.sessionIdleMs, maxMs: settings.sessionMaxMs };
  const opening = { folders, plant, tz: settings.tz, sessionLimits, log, now, random };
  const backupOptions = await hubBackupOptions(context, plant.id);
  const { directory, store, keyStore, close } = await openDirectoryOf(opening);
  let directoryOpen = true;
  context.onStop(async () => {
    directoryOpen = false;
    await close();
  });

  const refusals = createRefusals({ emit: (report) => log.warn(report, "refused"), now });
  context.onStop(() => refusals.close());
  const access = watchAccess({ refusals, log });

  const book = await openAccess(context, directory, random);
  context.onStop(() => book.close());

  const onAccess: OnAccess = (event) => {
    access.ofConnection(event);
    book.ofConnection(event);
  };
  const folder = folders.mqttSessions;
  const sessions = await openSessionStore({ folder, limits: settings.queueLimits, now, onAccess });
  context.onStop(() => sessions.close());

  const forgetNames = await forgetErasedNames({ directory, ...sessions });

  const { authority, identity } = await openTlsIdentity({ folders, plant: plant.id, names: settings.tlsNames, now });
  const hub = await startHub({
    host: settings.host,
    port: settings.mqttPort,
    tls: { host: settings.tlsHost, port: settings.mqttsPort, identity },
    wsPort: settings.wsPort,
    maxPacketBytes: settings.maxPacketBytes,
    statusLane: settings.statusLane,
    viewRates: settings.viewRates,
    connectionLimits: settings.connectionLimits,
    forwarder,
    authenticator: directory.credentials,
    onAccess,
    persistence: sessions.persistence,
    log,
  });
  context.onStop(() => hub.close());
  if (!isLoopback(settings.host) && settings.host !== "localhost") {
    log.warn(
      { host: settings.host },
      "plain MQTT and HTTP are open to the network (RASTRO_PLAINTEXT=everywhere): passwords can be read on the way",
    );
  }
  context.onStop(renewRegularly({ hub, folders, plant: plant.id, names: settings.tlsNames, log }));
  followDirectory({ hub, directory, log });
  context.onStop(keepSessions({ hub, directory, everyMs: SESSIONS_EVERY_MS, log }));

  const linkOf = async (name: "directory" | "broker") => {
    const { privateKey } = await loadOrCreateKey(folders.serviceKey(name));
    const password = createTokens({ name, plant: plant.id, privateKey, now, random });
    const link = openLink({ url: hub.url, name, password, log, random });
    context.onStop(() => link.close());
    return link;
  };
  const link = await linkOf("directory");
  const signing = await loadOrCreateKey(folders.directoryKey);
  announcePrincipals({ directory, link, sign: (bytes) => sign(signing.privateKey, bytes), log });
  directory.onErased(forgetNames);
  const send = (outbox: Outbox, name: "directory" | "broker", over: Link) => {
    const sender = createOutboxSender({ link: over, outbox, owner: { kind: "services", name }, log, now });
    sender.start();
    context.onStop(() => sender.stop());
  };
  send(directory.outbox, "directory", link);
  send(book.outbox, "broker", await linkOf("broker"));
  // Whoever starts after this finds every principal announced.
  await link.whenConnected({ timeoutMs: LINK_TIMEOUT_MS });

  watchOver(context, hub, sessions.persistence, directory, [directory.outbox, book.outbox]);
  health.check("hub", () => hub.listening() || "the hub does not listen");
  health.check("tls", () => hub.listeningOnTls() || "the hub does not listen for TLS connections");
  health.check("websocket", () => hub.listeningOnWebSocket() || "the hub does not listen for WebSocket connections");
  health.check("session store", () => sessions.persistence.fault() ?? true);
  health.check("directory", () => directoryOpen || "the directory is closed");
  health.check("directory link", () => link.connected || "the directory is not connected to the hub");
  const onRefused: OnRefusedRequest = (refused) => {
    access.ofRequest(refused);
    book.ofRequest(refused);
  };
  const stores = { directory: store, "people-keys": keyStore, sessions: sessions.store };
  const backups = await backUpHub(context, { directory, stores, store, options: backupOptions, app: APP });
  health.mount(directoryRoutes({ directory, connections: hub, now, log, onRefused, authority, backups, forwarder }));
}

/** Figures for Prometheus, alarms below `$SYS/broker/alarm/`, and whether there is room on the disk. */
function watchOver(
  { settings, folders, log, health, onStop }: ProcessContext,
  hub: Hub,
  persistence: Persistence,
  directory: Directory,
  outboxes: Outbox[],
): void {
  const stores = {
    directory: folders.directory,
    "people-keys": folders.peopleKeys,
    access: folders.access,
    sessions: folders.mqttSessions,
  };
  const principalOf = (name: string) => directory.register.principal(name);
  health.metrics.add(
    ...hubMetrics({ hub, persistence, principalOf, folders: stores }),
    ...outboxFigures(outboxes, Date.now),
  );

  const room = diskCheck({ folder: folders.data, floorBytes: settings.diskFloorBytes, everyMs: LOOK_EVERY_MS });
  onStop(() => room.stop());
  health.check("disk", room.check);

  const alarms = watchAlarms({
    rules: hubAlarms({
      hub,
      persistence,
      folder: folders.data,
      diskBytes: settings.diskAlarmBytes,
    }),
    tell: (name, state) => hub.show(`alarm/${name}`, state === null ? "" : JSON.stringify(state)),
    metrics: health.metrics,
    log,
    now: Date.now,
    everyMs: LOOK_EVERY_MS,
  });
  onStop(() => alarms.stop());
  health.showAlarms(() => alarms.raised().map(({ message }) => message));
}

/** Opens the book-keeping of access on its own store, so that a flood of refusals never waits for the directory's. */
async function openAccess(
  { settings, folders, log }: ProcessContext,
  directory: Directory,
  random: typeof randomBytes,
) {
  const key = await loadOrCreateKey(folders.serviceKey("broker"));
  const store = await Store.openFolder(folders.access);
  const now = Date.now;
  const signEvent = (bytes: Uint8Array) => sign(key.privateKey, bytes);
  const outbox = await Outbox.open({ store, book: "audit", name: "broker", app: APP, sign: signEvent, random, now });
  const stopPruning = pruneRegularly({
    kept: outbox,
    onFault: (error) => log.error({ err: error }, "pruning the outbox failed"),
  });
  const book = openAccessBook({
    store,
    outbox,
    principalOf: (name) => directory.register.principal(name),
    keyOf: (sub) => directory.people.key(sub),
    service: { name: "broker", tz: settings.tz, now },
    newId: () => v7({ msecs: now() }),
    random,
    log,
  });
  return {
    ...book,
    outbox,
    async close() {
      stopPruning();
      await book.close();
      await store.close();
    },
  };
}
