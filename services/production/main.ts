import { randomBytes } from "node:crypto";
import { v7 as newId } from "uuid";
import manifest from "../../package.json" with { type: "json" };
import { sign } from "../../lib/ledger/signature.ts";
import { openLink } from "../../lib/messaging/link.ts";
import { tellAlarmsOf } from "../../lib/messaging/tell-alarm.ts";
import { followPrincipals } from "../../lib/messaging/principals.ts";
import { watchAlarms } from "../../lib/runtime/alarms.ts";
import { createDirectoryClient } from "../../lib/runtime/directory-client.ts";
import { brokerAuthority } from "../../lib/runtime/broker-authority.ts";
import { loadOrCreateKey, readPublicKey } from "../../lib/runtime/keys.ts";
import { openLogKeys } from "../../lib/runtime/log-keys.ts";
import { createPersonKeys } from "../../lib/runtime/person-keys.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import { backupOptionsOf } from "../../lib/runtime/backup-places.ts";
import { daily } from "../../lib/runtime/daily.ts";
import { type ProcessContext, runProcess } from "../../lib/runtime/process.ts";
import { directoryUrlOf } from "../../lib/runtime/directory-url.ts";
import { removePromotion, requirePromoted } from "../../lib/runtime/promotion.ts";
import { createTokens } from "../../lib/runtime/token.ts";
import { verifyRegularly } from "../../lib/runtime/verify-regularly.ts";
import { bookMigration } from "../../lib/storage/migration/book-migration.ts";
import { openBookStore } from "../../lib/storage/repair/repaired-copy.ts";
import { bookFigures, outboxFigures, storeFigures } from "../../lib/storage/figures.ts";
import { auditLag } from "./audit-lag.ts";
import { createSigner } from "./signer.ts";
import { startProduction } from "./start-production.ts";

const NAME = "production";
const now = Date.now;
const random = randomBytes;
/** How often it is looked whether an alarm has to be raised. */
const LOOK_EVERY_MS = 5000;

await runProcess(NAME, start);

/** Puts the process together. What is opened first is closed last. */
async function start(context: ProcessContext): Promise<void> {
  const { settings, folders, log, health } = context;
  const plant = await readPlant(settings.data);
  const key = await loadOrCreateKey(folders.serviceKey(NAME));
  const directoryKey = await readPublicKey(folders.directoryPublicKey);
  const token = createTokens({ name: NAME, plant: plant.id, privateKey: key.privateKey, now, random });

  const backups = await backupOptionsOf(NAME, { settings, folders, plant: plant.id });
  const mark = await requirePromoted(folders.promotion(NAME));
  const logKeys = await openLogKeys({ folders, book: NAME, plant: plant.id });
  const app = `${NAME}@${manifest.version}`;
  const migration = bookMigration({
    name: NAME,
    plant: plant.id,
    origin: logKeys.origin,
    folder: backups.folder,
    app,
    now,
    onWork: context.works,
    log,
  });
  const opened = await openBookStore(folders.bookStore(NAME), { copy: folders.repairedStore(NAME), migration });
  const { store } = opened;
  context.onStop(() => opened.close());
  const ca = brokerAuthority({ ...settings, pinned: folders.authorityCertificate });
  const link = openLink({ url: settings.brokerUrl, name: NAME, ca, password: token, log, random });
  context.onStop(() => link.close());
  const personKeys = createPersonKeys({
    directory: () => createDirectoryClient({ url: directoryUrlOf(settings) }),
    bearer: () => ({ name: NAME, token: token() }),
    now,
  });

  const production = await startProduction({
    ...opened,
    link,
    principals: followPrincipals({ link, directoryKey, log }),
    personKeys,
    self: {
      name: NAME,
      app,
      sign: (bytes) => sign(key.privateKey, bytes),
      key: key.fingerprint,
      tz: settings.tz,
      now,
    },
    logKeys,
    sign: createSigner(key.privateKey),
    headNote: folders.headNote(NAME),
    backups,
    promoted: { mark, onRecorded: () => removePromotion(folders.promotion(NAME)) },
    newId,
    random,
    log,
  });
  context.onStop(() => production.close());
  const backUp = () => production.backups.createAll("schedule");
  context.onStop(daily({ at: settings.backups.at, tz: settings.tz, work: backUp }));
  const verify = production.verifications.runScheduled;
  context.onStop(verifyRegularly({ ...settings.verify, tz: settings.tz, verify }));
  for (const [name, check] of Object.entries(production.checks)) health.check(name, check);
  health.metrics.add(
    ...bookFigures(production.book),
    ...outboxFigures([production.outbox], now),
    ...storeFigures({ [NAME]: store }),
  );
  const alarms = watchAlarms({
    rules: [auditLag({ outbox: production.outbox, ms: settings.auditLagMs, events: settings.auditLagEvents, now })],
    tell: tellAlarmsOf(NAME, link),
    metrics: health.metrics,
    log,
    now,
    everyMs: LOOK_EVERY_MS,
  });
  context.onStop(() => alarms.stop());
  health.showAlarms(() => alarms.raised().map(({ message }) => message));
}
