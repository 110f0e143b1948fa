import { type KeyObject, randomBytes } from "node:crypto";
import { arch, cpus, uptime } from "node:os";
import { v7 } from "uuid";
import manifest from "../package.json" with { type: "json" };
import type { Summary } from "../lib/contracts/machine.ts";
import { topics } from "../lib/contracts/topics.ts";
import { sign } from "../lib/ledger/signature.ts";
import { type Link, openLink } from "../lib/messaging/link.ts";
import { createOutboxSender } from "../lib/messaging/outbox-sender.ts";
import { createPresence } from "../lib/messaging/presence.ts";
import { createRepeats } from "../lib/messaging/repeats.ts";
import { after } from "../lib/messaging/timing.ts";
import { brokerAuthority } from "../lib/runtime/broker-authority.ts";
import { createDirectoryClient } from "../lib/runtime/directory-client.ts";
import { type KeyPair, loadOrCreateKey } from "../lib/runtime/keys.ts";
import { openPasswords } from "../lib/runtime/passwords.ts";
import { readPlant } from "../lib/runtime/plant.ts";
import { type ProcessContext, runProcess } from "../lib/runtime/process.ts";
import { readRunFile } from "../lib/runtime/run-files.ts";
import { outboxFigures, storeFigures } from "../lib/storage/figures.ts";
import { Outbox } from "../lib/storage/outbox/outbox.ts";
import { Store } from "../lib/storage/store/store.ts";
import { breathe } from "./breathe.ts";
import { type ClockState, clockSource } from "./clock-state.ts";
import type { Journal } from "./commands/journal.ts";
import { loadPinnedKey } from "./commands/pinned-key.ts";
import { startCommands } from "./commands/start-commands.ts";
import { createDoor } from "./door/door.ts";
import { loadDoorKey } from "./door/door-key.ts";
import { createEntryIntake, type EntryIntake } from "./door/entry-intake.ts";
import { followSecondDisk, type SecondDisk } from "./second-disk.ts";
import { everyInterval } from "./every.ts";
import { openHostSources } from "./host/open-sources.ts";
import type { HostSources } from "./host/host-sources.ts";
import { type HostFigures, type Sampler, startSampler } from "./host/sampler.ts";
import { tidyUp } from "./housekeeping.ts";
import { directoryUrl } from "./link/directory-url.ts";
import { createHubTime, type HubTime } from "./link/hub-time.ts";
import { createPassword } from "./link/password.ts";
import { agentStarted, type Moment } from "./own-events.ts";
import { goFirst } from "./priority.ts";
import { createRateMeter, type Rate, type RateMeter } from "./status/rate-meter.ts";
import { statusFigures } from "./status/status-figures.ts";
import { createStatusFrame, type StatusFrame, UNKNOWN_STATUS } from "./status/status-frame.ts";
import { startStation } from "./station/start-station.ts";
import { createStatusLane, type StatusLane } from "./status/status-lane.ts";
import { catchUpOf, millisecondTimer, startTicker } from "./status/ticker.ts";
import { createLoadMeter, ownProcess } from "./summary/load-meter.ts";
import { createOutboxReporter } from "./summary/outbox-reporter.ts";
import { type OutboxReport, summaryOf } from "./summary/summary.ts";
import { type MachineWitness, offerWitness, openMachineWitness } from "./witness/start-witness.ts";

const APP = `edge-agent@${manifest.version}`;
const DIRECTORY_TIMEOUT_MS = 2000;
const SUMMARY_EVERY_MS = 1000;
const TIDY_EVERY_MS = 6 * 3_600_000;
const clock = () => performance.now();
const random = randomBytes;

await runProcess("edge-agent", start);

/** Puts the agent together. What is opened first is closed last. */
async function start(context: ProcessContext): Promise<void> {
  context.log.debug({ granted: goFirst() }, "asked to go before ordinary work");
  const sources = await openHostSources();
  context.onStop(() => sources.close());
  const self = await identify(context, await sources.system());
  const hubTime = createHubTime({ ask: () => askTime(context), now: Date.now, clock, onFailure: noTime(context) });
  const clockState = () => ({ source: clockSource(), offsetMs: hubTime.offsetMs() });

  const frame = createStatusFrame(self.machine);
  const sampler = sample(context, sources, frame);
  const outboxes = await openOutboxes(context, self);
  const commandKey = await loadPinnedKey(context.folders.agentPinnedFleetKey(self.machine), context.log);
  const witness = await openWitness(context, self);
  const links = openLinks(context, self, hubTime);
  witness.serve(links.dealings);
  const journal = takeCommands(context, self, { commandKey, link: links.dealings, outboxes, hubTime, clockState });
  const secondDisk = followSecondDisk({ link: links.dealings, now: Date.now, log: context.log });
  keepTidy(context, outboxes, { journal, secondDisk });
  const senders = startSenders(context, self, { link: links.dealings, outboxes });
  const status = startStatus(context, links.status, frame);
  const reporters = senders.map(({ outbox, sender }) =>
    createOutboxReporter({ outbox, lastError: () => sender.state().lastError }),
  );
  const reports = () => reporters.map((report) => report());
  startSummary(context, self, { link: links.dealings, figures: sampler.figures, status, reports, clockState, witness });
  const intake = await openDoor(context, self, { outboxes, reports, clockState });
  await openStation(context, self, { outboxes, reports, clockState, intake, hubTime, witness, hub: links.dealings });
  await recordStart(context, self, { outboxes, clockState });
  await offer(context, self, { outboxes, clockState, witness });
}

type Self = { machine: string; boot: string; key: KeyPair; plant: string; host: Summary["host"] };
type Outboxes = { store: Store; entries: Outbox; acts: Outbox };
type ClockStateOf = () => ClockState;

async function identify({ settings, folders }: ProcessContext, os: string): Promise<Self> {
  const { machine } = settings;
  return {
    machine,
    boot: random(8).toString("hex"),
    key: await loadOrCreateKey(folders.agentKey(machine)),
    plant: (await readPlant(settings.data)).id,
    host: { os, arch: arch(), cpus: cpus().length, node: process.version },
  };
}

function sample(context: ProcessContext, sources: HostSources, frame: StatusFrame): Sampler {
  const onSample = ({ cpu, mem, disk }: HostFigures) => frame.set({ ...UNKNOWN_STATUS, cpu, mem, disk });
  const { folders, log } = context;
  const sampler = startSampler({ sources, folder: folders.data, every: everyInterval, clock, log, onSample });
  context.onStop(() => sampler.stop());
  return sampler;
}

async function openOutboxes(context: ProcessContext, { machine, key }: Self): Promise<Outboxes> {
  const store = await Store.openFolder(context.folders.agentOutbox(machine));
  context.onStop(() => store.close());
  const signer = (bytes: Uint8Array) => sign(key.privateKey, bytes);
  const options = { store, name: machine, app: APP, sign: signer, random, now: Date.now };
  const entries = await Outbox.open({ ...options, book: "production" });
  const acts = await Outbox.open({ ...options, book: "audit" });
  context.health.metrics.add(...outboxFigures([entries, acts], Date.now), ...storeFigures({ outbox: store }));
  return { store, entries, acts };
}

async function openWitness(context: ProcessContext, { machine, plant }: Self): Promise<MachineWitness> {
  const { folders, log, health } = context;
  const witness = await openMachineWitness({ machine, plant, folders, every: everyInterval, now: Date.now, log });
  context.onStop(() => witness.stop());
  health.metrics.add(...witness.figures);
  health.showAlarms(witness.alarms);
  return witness;
}

function keepTidy(
  { log, onStop }: ProcessContext,
  { store, entries, acts }: Outboxes,
  { journal, secondDisk }: { journal: Journal; secondDisk: SecondDisk },
): void {
  const tidy = async () => {
    try {
      await tidyUp({ store, outboxes: [entries, acts], entries, secondDisk });
      await journal.prune();
    } catch (err) {
      log.warn({ err }, "old receipts and commands were not put away; they are tried again later");
    }
  };
  onStop(everyInterval(TIDY_EVERY_MS, () => void tidy()));
}

/** In the same turn as the link is opened: the subscription has to stand before the first birth is said. */
function takeCommands(
  { settings, log, onStop }: ProcessContext,
  { machine }: Self,
  o: { commandKey: KeyObject | null; link: Link; outboxes: Outboxes; hubTime: HubTime; clockState: ClockStateOf },
): Journal {
  const { store, acts } = o.outboxes;
  const moment = () => momentNow(settings.tz, o.clockState);
  const tools = { link: o.link, hubTime: o.hubTime, now: Date.now, clock, log };
  const commands = startCommands({ machine, key: o.commandKey, store, acts, moment, ...tools });
  onStop(() => commands.close());
  return commands.journal;
}

function momentNow(tz: string, clockState: ClockStateOf): Moment {
  return { id: v7(), at: new Date().toISOString(), tz, clock: clockState() };
}

/** Two connections, so that a thousand statuses a second never stand before an event or a receipt (decision 2). */
function openLinks(context: ProcessContext, { machine, boot, key, plant }: Self, hubTime: HubTime) {
  const { settings, log, health } = context;
  const nonce = () => random(12).toString("base64url");
  const password = createPassword({ machine, plant, privateKey: key.privateKey, hubTime, nonce });
  const about = { machine, boot, app: APP, key: key.fingerprint };
  const repeats = createRepeats({ after, clock });
  const presence = createPresence({ about, now: Date.now, repeats, after, log });

  const ca = brokerAuthority({ ...settings, pinned: context.folders.agentPinnedAuthority(machine) });
  const options = { url: settings.brokerUrl, name: machine, ca, password, log, random };
  const status = openLink(options);
  context.onStop(() => status.close());
  const dealings = openLink({ ...options, will: (connection) => presence.will(connection) });
  context.onStop(() => dealings.close());
  presence.follow(dealings).catch((err: unknown) => log.error({ err }, "the machine's own presence cannot be read"));
  context.onStop(() => presence.farewell());
  health.check("status connection", () => status.connected || "not connected to the hub");
  health.check("connection", () => dealings.connected || "not connected to the hub");
  return { status, dealings };
}

function startSenders(context: ProcessContext, { machine }: Self, o: { link: Link; outboxes: Outboxes }) {
  const owner = { kind: "machines", name: machine } as const;
  const { log } = context;
  return [o.outboxes.entries, o.outboxes.acts].map((outbox) => {
    const sender = createOutboxSender({ link: o.link, outbox, owner, log, now: Date.now });
    sender.start();
    context.onStop(() => sender.stop());
    return { outbox, sender };
  });
}

function startStatus(context: ProcessContext, link: Link, frame: StatusFrame) {
  const meter = createRateMeter(clock());
  const lane = createStatusLane({ link, frame, meter, wallClock: Date.now });
  const catchUp = catchUpOf(process.platform);
  const ticker = startTicker({ clock, timer: millisecondTimer, periodMs: 1, catchUp, tick: lane.tick });
  context.onStop(() => ticker.stop());
  return { meter, lane };
}

function startSummary(
  context: ProcessContext,
  { machine, host }: Self,
  o: {
    link: Link;
    figures: HostFigures;
    status: { meter: RateMeter; lane: StatusLane };
    reports: () => OutboxReport[];
    clockState: ClockStateOf;
    witness: MachineWitness;
  },
): void {
  const load = createLoadMeter(ownProcess);
  let rate: Rate | null = null;
  context.health.metrics.add(...statusFigures(() => rate));
  const topic = topics.summary(machine);
  const publish = () => {
    const summary = summaryOf({
      identity: { app: APP, host },
      t: Date.now(),
      uptimeS: { agent: Math.floor(process.uptime()), host: Math.floor(uptime()) },
      rate: (rate = o.status.meter.take(clock())),
      skipped: o.status.lane.skipped(),
      outboxes: o.reports(),
      clock: o.clockState(),
      figures: o.figures,
      load: load(clock()),
      witness: o.witness.report(),
    });
    // One that is cut off is not missed: the next second has a newer one.
    if (o.link.connected) o.link.publish(topic, JSON.stringify(summary), { retain: true }).catch(() => undefined);
  };
  context.onStop(everyInterval(SUMMARY_EVERY_MS, publish));
}

async function openDoor(
  { settings, folders, log, health }: ProcessContext,
  { machine }: Self,
  o: { outboxes: Outboxes; reports: () => OutboxReport[]; clockState: ClockStateOf },
): Promise<EntryIntake> {
  const { store, entries: outbox } = o.outboxes;
  const tools = { now: Date.now, newId: () => v7(), clockState: o.clockState, breathe };
  const intake = createEntryIntake({ store, outbox, machine, tz: settings.tz, ...tools });
  const key = await loadDoorKey(folders.doorKey(machine), random);
  health.mount(createDoor({ key, intake, depth: o.reports, log }));
  return intake;
}

/** On its own port, and beside the door as well, so that whoever looks for this agent finds it by the run file alone. */
async function openStation(
  { settings, folders, log, health, onStop }: ProcessContext,
  { machine }: Self,
  o: {
    outboxes: Outboxes;
    reports: () => OutboxReport[];
    clockState: ClockStateOf;
    intake: EntryIntake;
    hubTime: HubTime;
    witness: MachineWitness;
    hub: Link;
  },
): Promise<void> {
  const { tz, station, sessionIdleMs: idleMs, brokerUrl: url } = settings;
  const ca = brokerAuthority({ ...settings, pinned: folders.agentPinnedAuthority(machine) });
  const opened = await startStation({
    ...station,
    ...o.outboxes,
    machine,
    app: APP,
    tz,
    idleMs,
    verifiersFile: folders.stationVerifiers(machine),
    intake: o.intake,
    depth: o.reports,
    hubInReach: () => o.hub.connected,
    directoryUrl: () => directoryUrl(settings, readRunFile(settings.data, "broker")?.url ?? null),
    openLink: ({ user: name, token }) => openLink({ url, name, ca, password: () => token, log, random }),
    openPasswords: () => openPasswords({ random }),
    hubTime: o.hubTime,
    moment: () => momentNow(tz, o.clockState),
    now: Date.now,
    random,
    every: everyInterval,
    log,
  });
  onStop(() => opened.close());
  health.mount(opened.routes);
  health.showAlarms(() => [...o.witness.alarms(), ...opened.alarms()]);
}

/** A full disk does not keep the agent from reporting: that it could not be recorded is logged, no more. */
async function recordStart(
  { settings, log }: ProcessContext,
  { machine, boot, host, key }: Self,
  { outboxes, clockState }: { outboxes: Outboxes; clockState: ClockStateOf },
): Promise<void> {
  const moment = momentNow(settings.tz, clockState);
  const draft = agentStarted({ machine, boot, app: APP, host, key: key.fingerprint }, moment);
  try {
    await outboxes.store.write((tx) => outboxes.acts.stage(tx, draft));
  } catch (err) {
    log.error({ err }, "the start could not be recorded");
  }
}

async function offer(
  { settings, log }: ProcessContext,
  { machine, plant }: Self,
  o: { outboxes: Outboxes; clockState: ClockStateOf; witness: MachineWitness },
): Promise<void> {
  const { store, acts } = o.outboxes;
  const { hostId, tz } = settings;
  const moment = momentNow(tz, o.clockState);
  await offerWitness({ machine, plant, hostId, witness: o.witness.witness, store, acts, moment, log });
}

/** The hub's run file is read each time: a hub that was started anew listens elsewhere. */
function askTime({ settings }: ProcessContext) {
  const url = directoryUrl(settings, readRunFile(settings.data, "broker")?.url ?? null);
  return createDirectoryClient({ url, timeoutMs: DIRECTORY_TIMEOUT_MS }).time();
}

function noTime({ log }: ProcessContext) {
  return (err: unknown) => log.debug({ err }, "the hub did not tell the time; the own clock has to do");
}
