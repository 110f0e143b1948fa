import { randomBytes } from "node:crypto";
import { v7 as newId } from "uuid";
import manifest from "../../package.json" with { type: "json" };
import { sign } from "../../lib/ledger/signature.ts";
import { openLink } from "../../lib/messaging/link.ts";
import { followPrincipals } from "../../lib/messaging/principals.ts";
import { tellAlarmsOf } from "../../lib/messaging/tell-alarm.ts";
import { watchAlarms } from "../../lib/runtime/alarms.ts";
import { brokerAuthority } from "../../lib/runtime/broker-authority.ts";
import { loadOrCreateKey, readPublicKey } from "../../lib/runtime/keys.ts";
import { createPersonKeys } from "../../lib/runtime/person-keys.ts";
import { createDirectoryClient } from "../../lib/runtime/directory-client.ts";
import { directoryUrlOf } from "../../lib/runtime/directory-url.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import { backupOptionsOf } from "../../lib/runtime/backup-places.ts";
import { daily } from "../../lib/runtime/daily.ts";
import { type ProcessContext, runProcess } from "../../lib/runtime/process.ts";
import { createTokens } from "../../lib/runtime/token.ts";
import { storeFigures } from "../../lib/storage/figures.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { startFleet } from "./start-fleet.ts";

const NAME = "fleet";
/** How often it is looked whether an alarm has to be raised. */
const LOOK_EVERY_MS = 1000;
const now = Date.now;
const random = randomBytes;

await runProcess(NAME, start);

/** Puts the process together. What is opened first is closed last. */
async function start(context: ProcessContext): Promise<void> {
  const { settings, folders, log, health } = context;
  const plant = await readPlant(settings.data);
  const key = await loadOrCreateKey(folders.serviceKey(NAME));
  const commandKey = await loadOrCreateKey(folders.fleetCommandKey);
  const directoryKey = await readPublicKey(folders.directoryPublicKey);
  const token = createTokens({ name: NAME, plant: plant.id, privateKey: key.privateKey, now, random });

  const backups = await backupOptionsOf(NAME, { settings, folders, plant: plant.id });
  const store = await Store.openFolder(folders.fleet);
  context.onStop(() => store.close());
  const ca = brokerAuthority({ ...settings, pinned: folders.authorityCertificate });
  const link = openLink({ url: settings.brokerUrl, name: NAME, ca, password: token, log, random });
  context.onStop(() => link.close());

  const personKeys = createPersonKeys({
    directory: () => createDirectoryClient({ url: directoryUrlOf(settings) }),
    bearer: () => ({ name: NAME, token: token() }),
    now,
  });

  const fleet = await startFleet({
    store,
    personKeys,
    backups,
    link,
    principals: followPrincipals({ link, directoryKey, log }),
    self: {
      name: NAME,
      app: `${NAME}@${manifest.version}`,
      sign: (bytes) => sign(key.privateKey, bytes),
      key: key.fingerprint,
      tz: settings.tz,
      now,
    },
    signCommand: (bytes) => sign(commandKey.privateKey, bytes),
    newId,
    random,
    log,
  });
  context.onStop(() => fleet.close());
  const backUp = () => fleet.backups.createAll("schedule");
  context.onStop(daily({ at: settings.backups.at, tz: settings.tz, work: backUp }));
  for (const [name, check] of Object.entries(fleet.checks)) health.check(name, check);
  health.metrics.add(...storeFigures({ [NAME]: store }));
  const alarms = watchAlarms({
    rules: fleet.alarms,
    tell: tellAlarmsOf(NAME, link),
    metrics: health.metrics,
    log,
    now,
    everyMs: LOOK_EVERY_MS,
  });
  context.onStop(() => alarms.stop());
  health.showAlarms(() => alarms.raised().map(({ message }) => message));
}
