import type { EventDraft } from "../../lib/contracts/events.ts";
import type { Link } from "../../lib/messaging/link.ts";
import { createOutboxSender } from "../../lib/messaging/outbox-sender.ts";
import type { Principals } from "../../lib/messaging/principals.ts";
import { serve } from "../../lib/messaging/request-server.ts";
import { type After, after as systemAfter } from "../../lib/messaging/timing.ts";
import type { AlarmRule } from "../../lib/runtime/alarms.ts";
import type { Check } from "../../lib/runtime/health.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import { recordRefusals } from "../../lib/runtime/refusal-event.ts";
import type { Backups } from "../../lib/storage/backup/backups.ts";
import { backupHandlers } from "../../lib/storage/backup/handlers.ts";
import { tellRestored } from "../../lib/storage/backup/restored-store.ts";
import { type BackupOptions, createServiceBackups } from "../../lib/storage/backup/service-backups.ts";
import { Outbox } from "../../lib/storage/outbox/outbox.ts";
import { pruneRegularly } from "../../lib/storage/prune-regularly.ts";
import type { KeysOfPeople } from "../../lib/storage/people/sealed-reason.ts";
import type { ServiceSelf } from "../../lib/storage/book/service-event.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { type ApprovalsOf, byCatalogue } from "./commands/issue-command.ts";
import { startCommands } from "./commands/start-commands.ts";
import { duplicateMachine } from "./duplicate-event.ts";
import { createHubView } from "./hub-view.ts";
import { createMachineHandlers } from "./machine-rows.ts";
import { watchPresence } from "./presence-watch.ts";
import { openRegister, type Register } from "./register.ts";
import { startRollouts } from "./rollouts/start-rollouts.ts";
import { createSignsOfLife } from "./signs-of-life.ts";
import { watchDuplicates } from "./watch-duplicates.ts";

export type FleetOptions = {
  store: Store;
  link: Link;
  principals: Principals;
  personKeys: KeysOfPeople;
  backups: BackupOptions;
  self: ServiceSelf;
  /** Signs commands, with the key for that alone. */
  signCommand: (bytes: Uint8Array) => string;
  /** How many others have to agree to a command; by the catalogue when left out. */
  approvalsOf?: ApprovalsOf;
  newId: () => string;
  random: (bytes: number) => Buffer;
  after?: After;
  log: Logger;
};

export type Fleet = {
  register: Register;
  backups: Backups;
  alarms: AlarmRule[];
  checks: Record<string, Check>;
  /** Finishes what it has begun. Store and link stay the caller's to close. */
  close(): Promise<void>;
};

/** Opens the register of machines and puts it on the hub. Resolves when all of it works. */
export async function startFleet(o: FleetOptions): Promise<Fleet> {
  const { store, link, principals, self, newId, random, log } = o;
  const { name, app, sign, tz, now } = self;
  const outbox = await Outbox.open({ store, book: "audit", name, app, sign, random, now });
  const register = await openRegister({ store, outbox, newId, now, tz });
  const signs = createSignsOfLife(now);
  const hub = createHubView(now);
  const tell = (draft: EventDraft) => store.write((tx) => void outbox.stage(tx, draft));
  const refusals = recordRefusals({
    names: principals,
    service: self,
    newId,
    tell,
    onFault: (error) => log.error({ err: error }, "a refusal could not be put on record"),
  });
  const { onRefused } = refusals;

  const backups = createServiceBackups({
    name: "fleet",
    store,
    origin: null,
    options: o.backups,
    self,
    newId,
    tell,
    onFault: (error) => log.error({ err: error }, "a backup failed, or could not be put on record"),
  });

  await principals.whenLoaded();
  await tellRestored({ store, outbox, tz, keys: o.personKeys, backups: o.backups });
  const sender = createOutboxSender({ link, outbox, owner: { kind: "services", name }, log, now });
  sender.start();
  const stopPruning = pruneRegularly({
    kept: outbox,
    onFault: (error) => log.error({ err: error }, "pruning the outbox failed"),
  });
  const after = o.after ?? systemAfter;
  const duplicates = watchDuplicates({
    hub,
    tell,
    newId,
    now,
    tz,
    after,
    onEnded: (machine) => onPresence(machine),
    log,
  });
  const commands = await startCommands({
    store,
    outbox,
    link,
    // Both of two agents would carry out what is meant for one machine.
    register: {
      presence: (machine) => (duplicates.of(machine) === null ? register.presence(machine) : undefined),
      online: register.online,
    },
    names: principals,
    sign: o.signCommand,
    approvalsOf: o.approvalsOf ?? byCatalogue,
    newId,
    now,
    tz,
    after,
    onRefused,
    log,
  });
  const rollouts = await startRollouts({
    store,
    outbox,
    commands: commands.inside,
    names: principals,
    newId,
    now,
    tz,
    after,
    log,
  });
  const { onPresence } = commands;
  await watchPresence({ link, principals, register, signs, hub, duplicates, now, after, onPresence, onRefused, log });
  const machines = createMachineHandlers({
    machines: () => principals.all(),
    register,
    signs,
    hub,
    duplicates,
    now,
  });
  const handlers = { ...machines, ...commands.handlers, ...rollouts.handlers, ...backupHandlers(backups, "fleet") };
  await serve({ link, service: "fleet", principals, handlers, onRefused, now, log });

  return {
    register,
    backups,
    alarms: [duplicateMachine({ all: duplicates.all, addresses: hub.addresses })],
    checks: {
      hub: () => link.connected || "not connected to the hub",
      backup: () => backups.fault() ?? true,
    },
    async close() {
      stopPruning();
      rollouts.close();
      duplicates.close();
      commands.close();
      await refusals.close();
      await sender.stop();
    },
  };
}
