import { formatVerifierKey } from "../../lib/ledger/signed-note.ts";
import type { Link } from "../../lib/messaging/link.ts";
import type { Folders } from "../../lib/runtime/folders.ts";
import { hostFingerprint } from "../../lib/runtime/host-fingerprint.ts";
import type { Logger } from "../../lib/runtime/log.ts";
import type { Outbox } from "../../lib/storage/outbox/outbox.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { offerOnce } from "../../lib/witness/offer.ts";
import { openWitness, type OpenWitness } from "../../lib/witness/open-witness.ts";
import { followLogs } from "../../lib/witness/trusted-logs.ts";
import { serveOverMqtt } from "../../lib/witness/over-mqtt.ts";
import type { Every } from "../every.ts";
import type { Moment } from "../own-events.ts";
import { loadPinnedLogs } from "./pinned-logs.ts";

/** How soon it is noticed that somebody has cleared an alarm, ms. */
const LOOK_EVERY_MS = 5000;

export type MachineWitness = Pick<OpenWitness, "report" | "figures"> & {
  /** Null where its files cannot be used: the machine witnesses nothing then, and everything else of it works. */
  witness: OpenWitness["witness"] | null;
  /** Sentences of the alarms that are raised. */
  alarms(): string[];
  /** Takes requests from now on; the subscriptions are registered before it returns. */
  serve(link: Link): void;
  stop(): void;
};

type MachineWitnessOptions = {
  machine: string;
  /** The plant's id. */
  plant: string;
  folders: Folders;
  every: Every;
  now: () => number;
  log: Logger;
};

/** Opens this machine's witness of the plant's books. Never rejects. */
export async function openMachineWitness(o: MachineWitnessOptions): Promise<MachineWitness> {
  try {
    return await open(o);
  } catch (err) {
    o.log.error({ err }, "the witness's files cannot be used: this machine witnesses nothing until it starts anew");
    const sentence = "This machine witnesses nothing: its witness's files cannot be used; its log has the reason.";
    const nothing = () => [];
    return { witness: null, report: nothing, figures: [], alarms: () => [sentence], serve: () => {}, stop: () => {} };
  }
}

async function open(o: MachineWitnessOptions): Promise<MachineWitness> {
  const { machine, folders, now, log } = o;
  const logs = followLogs(await loadPinnedLogs({ folders, machine, log }));
  const files = {
    keyFile: folders.agentWitnessKey(machine),
    publicKeyFile: folders.agentWitnessPublicKey(machine),
    folder: folders.agentWitness(machine),
  };
  const { witness, findings, report, figures, onAlarm } = await openWitness({
    name: `${machine}.${o.plant}/witness`,
    ...files,
    logs,
    now,
    log,
  });
  const stop = o.every(LOOK_EVERY_MS, () => void findings.look());
  return {
    witness,
    report,
    figures,
    alarms: () => findings.all().map(({ message }) => message),
    serve: (link) => onAlarm(serveOverMqtt({ link, machine, witness, logs, alarms: findings.all, log }).tellAlarm),
    stop,
  };
}

/** Tells the audit book by which key this machine cosigns. That it could not be told is logged, no more. */
export async function offerWitness(o: {
  machine: string;
  plant: string;
  /** What `RASTRO_HOST_ID` says. */
  hostId: string | null;
  witness: MachineWitness["witness"];
  store: Store;
  acts: Outbox;
  moment: Moment;
  log: Logger;
}): Promise<void> {
  if (o.witness === null) return;
  try {
    const offer = { vkey: formatVerifierKey(o.witness.key), host: await hostFingerprint(o) };
    await offerOnce({ ...o, offer });
  } catch (err) {
    o.log.error({ err }, "the audit book could not be told of this witness");
  }
}
