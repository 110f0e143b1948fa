import { randomBytes } from "node:crypto";
import { v7 as newId } from "uuid";
import { STANDBY } from "../../lib/contracts/directory.ts";
import { openLink } from "../../lib/messaging/link.ts";
import { tellAlarmsOf } from "../../lib/messaging/tell-alarm.ts";
import { after } from "../../lib/messaging/timing.ts";
import { watchAlarms } from "../../lib/runtime/alarms.ts";
import { brokerAuthority } from "../../lib/runtime/broker-authority.ts";
import { loadOrCreateKey } from "../../lib/runtime/keys.ts";
import { type ProcessContext, runProcess } from "../../lib/runtime/process.ts";
import { createTokens } from "../../lib/runtime/token.ts";
import { storeFigures } from "../../lib/storage/figures.ts";
import { MIGRATE_A_COPY } from "../../lib/storage/migration/migration.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { logKeysOf, readJoined, readStandbyPolicy } from "./joined.ts";
import { startStandby } from "./start-standby.ts";

const now = Date.now;
const random = randomBytes;
/** How often it is looked whether an alarm has to be raised. */
const LOOK_EVERY_MS = 1000;

await runProcess(STANDBY, start);

/** Puts the process together. What is opened first is closed last. */
async function start(context: ProcessContext): Promise<void> {
  const { settings, folders, log, health } = context;
  const joined = await readJoined(folders.standbyJoined);
  const policy = await readStandbyPolicy(folders.standbyPolicy);
  const { privateKey } = await loadOrCreateKey(folders.standbyKey);
  const token = createTokens({ name: STANDBY, plant: joined.plant.id, privateKey, now, random });

  const stores = {
    production: await Store.openFolder(folders.mirrorStore("production"), { migration: MIGRATE_A_COPY }),
    audit: await Store.openFolder(folders.mirrorStore("audit"), { migration: MIGRATE_A_COPY }),
  };
  for (const store of Object.values(stores)) context.onStop(() => store.close());
  const url = settings.externalBroker ? settings.brokerUrl : joined.url;
  const ca = brokerAuthority({ brokerUrl: url, ca: settings.ca, pinned: folders.standbyAuthority });
  const link = openLink({ url, name: STANDBY, ca, password: token, log, random });
  context.onStop(() => link.close());

  const standby = startStandby({
    link,
    plant: joined.plant.id,
    stores,
    logKeys: logKeysOf(joined),
    policy,
    privateKey,
    newId,
    now,
    after,
    random,
    log,
  });
  context.onStop(() => standby.close());
  for (const [name, check] of Object.entries(standby.checks)) health.check(name, check);
  health.metrics.add(...standby.figures, ...storeFigures(stores));
  const alarms = watchAlarms({
    rules: standby.alarms,
    tell: tellAlarmsOf(STANDBY, link),
    metrics: health.metrics,
    log,
    now,
    everyMs: LOOK_EVERY_MS,
  });
  context.onStop(() => alarms.stop());
  health.showAlarms(() => alarms.raised().map(({ message }) => message));
}
