import { randomBytes } from "node:crypto";
import { arch, cpus, uptime } from "node:os";
import { v7 } from "uuid";
import manifest from "../package.json" with { type: "json" };
import { topics } from "../lib/contracts/topics.ts";
import { sign } from "../lib/ledger/signature.ts";
import { openLink } from "../lib/messaging/link.ts";
import { createOutboxSender } from "../lib/messaging/outbox-sender.ts";
import { createDirectoryClient } from "../lib/runtime/directory-client.ts";
import { type KeyPair, loadOrCreateKey } from "../lib/runtime/keys.ts";
import { readPlant } from "../lib/runtime/plant.ts";
import { type ProcessContext, runProcess } from "../lib/runtime/process.ts";
import { readRunFile } from "../lib/runtime/run-files.ts";
import { Outbox } from "../lib/storage/outbox.ts";
import { Store } from "../lib/storage/store.ts";
import { breathe } from "./breathe.ts";
import { clockSource } from "./clock-state.ts";
import { createDoor } from "./door/door.ts";
import { loadDoorKey } from "./door/door-key.ts";
import { createEntryIntake } from "./door/entry-intake.ts";
import { everyInterval } from "./every.ts";
import { openHostSources } from "./host/open-sources.ts";
import { startSampler } from "./host/sampler.ts";
import { tidyUp } from "./housekeeping.ts";
import { directoryUrl } from "./link/directory-url.ts";
import { createHubTime } from "./link/hub-time.ts";
import { createPassword } from "./link/password.ts";
import { agentStarted } from "./own-events.ts";
import { createPresence } from "./presence/presence.ts";
import { afterTimeout, createRepeats } from "./presence/repeats.ts";
import { createRateMeter } from "./status/rate-meter.ts";
import { createStatusFrame, UNKNOWN_STATUS } from "./status/status-frame.ts";
import { createStatusLane } from "./status/status-lane.ts";
import { catchUpOf, millisecondTimer, startTicker } from "./status/ticker.ts";
import { createLoadMeter, ownProcess } from "./summary/load-meter.ts";
import { summaryOf } from "./summary/summary.ts";

const APP = `edge-agent@${manifest.version}`;
const DIRECTORY_TIMEOUT_MS = 2000;
const SUMMARY_EVERY_MS = 1000;
const TIDY_EVERY_MS = 6 * 3_600_000;
const clock = () => performance.now();
const random = randomBytes;

await runProcess("edge-agent", start);

/** Puts the agent together. What is opened first is closed last. */
async function start(context: ProcessContext): Promise<void> {
  const { settings, folders, log, health, onStop } = context;
  const machine = settings.machine;
  const boot = random(8).toString("hex");
  const key = await loadOrCreateKey(folders.agentKey(machine));
  const hubTime = createHubTime({ ask: () => askTime(context), now: Date.now, clock, onFailure: noTime(context) });
  const clockState = () => ({ source: clockSource(), offsetMs: hubTime.offsetMs() });

  const sources = await openHostSources();
  onStop(() => sources.close());
  const host = { os: await sources.system(), arch: arch(), cpus: cpus().length, node: process.version };
  const frame = createStatusFrame(machine);
  const sampler = startSampler({
    ...{ sources, folder: folders.data, every: everyInterval, clock, log },
    onSample: ({ cpu, mem, disk }) => frame.set({ ...UNKNOWN_STATUS, cpu, mem, disk }),
  });
  onStop(() => sampler.stop());

  const { store, entries, acts } = await openOutboxes(context, key);
  const plant = (await readPlant(settings.data)).id;
  const password = createPassword({
    ...{ machine, plant, privateKey: key.privateKey, hubTime },
    nonce: () => random(12).toString("base64url"),
  });
  const presence = createPresence({
    about: { machine, boot, app: APP, key: key.fingerprint },
    now: Date.now,
    repeats: createRepeats({ after: afterTimeout, clock }),
    log,
  });
  // Two connections, so that a thousand statuses a second never stand before an event or a receipt (decision 2).
  const connection = { url: settings.brokerUrl, name: machine, password, log, random };
  const statusLink = openLink(connection);
  onStop(() => statusLink.close());
  const link = openLink({ ...connection, will: (name) => presence.will(name) });
  onStop(() => link.close());
  health.check("status connection", () => statusLink.connected || "not connected to the hub");
  health.check("connection", () => link.connected || "not connected to the hub");

  const owner = { kind: "machines", name: machine } as const;
  const senders = [entries, acts].map((outbox) => createOutboxSender({ link, outbox, owner, log, now: Date.now }));
  for (const sender of senders) {
    sender.start();
    onStop(() => sender.stop());
  }
  void presence
    .follow(link)
    .catch((err: unknown) => log.error({ err }, "the machine's own presence cannot be followed"));
  onStop(() => presence.farewell());

  const meter = createRateMeter(clock());
  const lane = createStatusLane({ link: statusLink, frame, meter, wallClock: Date.now });
  const catchUp = catchUpOf(process.platform);
  const ticker = startTicker({ clock, timer: millisecondTimer, periodMs: 1, catchUp, tick: lane.tick });
  onStop(() => ticker.stop());

  const reports = () => [entries, acts].map((outbox) => ({ book: outbox.book, ...outbox.depth(), lastError: null }));
  const load = createLoadMeter(ownProcess);
  const summary = () =>
    summaryOf({
      identity: { app: APP, host },
      t: Date.now(),
      uptimeS: { agent: Math.floor(process.uptime()), host: Math.floor(uptime()) },
      rate: meter.take(clock()),
      skipped: lane.skipped(),
      outboxes: reports(),
      clock: clockState(),
      figures: sampler.figures,
      load: load(clock()),
    });
  onStop(
    everyInterval(SUMMARY_EVERY_MS, () => {
      const payload = JSON.stringify(summary());
      // Cut while publishing: the next second has a newer one.
      if (link.connected)
        link.publish(topics.summary(machine), payload, { qos: 0, retain: true }).catch(() => undefined);
    }),
  );

  const newId = () => v7();
  const tz = settings.tz;
  const intake = createEntryIntake({ store, outbox: entries, machine, tz, now: Date.now, newId, clockState, breathe });
  health.mount(createDoor({ key: await loadDoorKey(folders.doorKey(machine), random), intake, depth: reports, log }));

  const tidy = () =>
    tidyUp({ store, outboxes: [entries, acts], entries }).catch((err: unknown) =>
      log.warn({ err }, "tidying up failed"),
    );
  onStop(everyInterval(TIDY_EVERY_MS, () => void tidy()));
  const moment = { id: newId(), at: new Date().toISOString(), tz, clock: clockState() };
  await store.write((tx) =>
    acts.stage(tx, agentStarted({ machine, boot, app: APP, host, key: key.fingerprint }, moment)),
  );
}

async function openOutboxes({ settings, folders, onStop }: ProcessContext, { privateKey }: KeyPair) {
  const store = await Store.openFolder(folders.agentOutbox(settings.machine));
  onStop(() => store.close());
  const place = { store, name: settings.machine, app: APP, random, now: Date.now };
  const signer = (bytes: Uint8Array) => sign(privateKey, bytes);
  const entries = await Outbox.open({ ...place, book: "production", sign: signer });
  const acts = await Outbox.open({ ...place, book: "audit", sign: signer });
  return { store, entries, acts };
}

/** The hub's run file is read each time: a hub that was started anew listens elsewhere. */
function askTime({ settings }: ProcessContext) {
  const url = directoryUrl(settings, readRunFile(settings.data, "broker")?.url ?? null);
  return createDirectoryClient({ url, timeoutMs: DIRECTORY_TIMEOUT_MS }).time();
}

function noTime({ log }: ProcessContext) {
  return (err: unknown) => log.debug({ err }, "the hub did not tell the time; the own clock has to do");
}
