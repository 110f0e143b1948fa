import { randomBytes } from "node:crypto";
import { v7 as newId } from "uuid";
import manifest from "../../package.json" with { type: "json" };
import { sign } from "../../lib/ledger/signature.ts";
import { formatVerifierKey } from "../../lib/ledger/signed-note.ts";
import { type Link, openLink } from "../../lib/messaging/link.ts";
import { createOutboxSender } from "../../lib/messaging/outbox-sender.ts";
import { createPresence } from "../../lib/messaging/presence.ts";
import { createRepeats } from "../../lib/messaging/repeats.ts";
import { after } from "../../lib/messaging/timing.ts";
import { brokerAuthority } from "../../lib/runtime/broker-authority.ts";
import { hostFingerprint } from "../../lib/runtime/host-fingerprint.ts";
import { type KeyPair, loadOrCreateKey } from "../../lib/runtime/keys.ts";
import { readPlant } from "../../lib/runtime/plant.ts";
import type { ProcessContext } from "../../lib/runtime/process.ts";
import { createTokens } from "../../lib/runtime/token.ts";
import { outboxFigures } from "../../lib/storage/figures.ts";
import { Outbox } from "../../lib/storage/outbox/outbox.ts";
import type { Store } from "../../lib/storage/store/store.ts";
import { offerOnce } from "../../lib/witness/offer.ts";
import type { OpenWitness } from "../../lib/witness/open-witness.ts";
import { serveOverMqtt } from "../../lib/witness/over-mqtt.ts";
import type { FollowedLogs } from "../../lib/witness/trusted-logs.ts";

const APP = `witness@${manifest.version}`;
const now = Date.now;
const random = randomBytes;

/**
 * Joins a plant as one of its machines, that does nothing but witness: signs in at its hub, is asked over MQTT too, and
 * offers its key to the audit book. Resolves at once; the hub may be away.
 *
 * @returns the public key, in base64, by which the machine has to be registered.
 * @throws RastroError `store_unusable` when the data folder has no `plant.json` of the plant.
 */
export async function joinPlant(
  context: ProcessContext,
  o: { store: Store; opened: OpenWitness; logs: FollowedLogs },
): Promise<string> {
  const { settings, folders, log, health, onStop } = context;
  const { machine } = settings;
  const plant = (await readPlant(settings.data)).id;
  const key = await loadOrCreateKey(folders.agentKey(machine));
  const signer = (bytes: Uint8Array) => sign(key.privateKey, bytes);
  const acts = await Outbox.open({ store: o.store, book: "audit", name: machine, app: APP, sign: signer, random, now });
  health.metrics.add(...outboxFigures([acts], now));

  const link = openWithPresence(context, plant, key);
  const { witness, findings } = o.opened;
  const { tellAlarm } = serveOverMqtt({ link, machine, witness, logs: o.logs, alarms: findings.all, log });
  o.opened.onAlarm(tellAlarm);
  const sender = createOutboxSender({ link, outbox: acts, owner: { kind: "machines", name: machine }, log, now });
  sender.start();
  onStop(() => sender.stop());
  health.check("connection", () => link.connected || "not connected to the hub");

  const host = await hostFingerprint({ plant, hostId: settings.hostId });
  const moment = { id: newId(), at: new Date(now()).toISOString(), tz: settings.tz };
  await offerOnce({
    store: o.store,
    acts,
    machine,
    offer: { vkey: formatVerifierKey(witness.key), host },
    moment: { ...moment, clock: { source: "unknown", offsetMs: null } },
  });
  return key.publicRaw.toString("base64");
}

function openWithPresence({ settings, folders, log, onStop }: ProcessContext, plant: string, key: KeyPair): Link {
  const { machine } = settings;
  const about = { machine, boot: random(8).toString("hex"), app: APP, key: key.fingerprint };
  const repeats = createRepeats({ after, clock: () => performance.now() });
  const presence = createPresence({ about, now, repeats, after, log });
  const link = openLink({
    url: settings.brokerUrl,
    name: machine,
    ca: brokerAuthority({ ...settings, pinned: folders.agentPinnedAuthority(machine) }),
    password: createTokens({ name: machine, plant, privateKey: key.privateKey, now, random }),
    will: (connection) => presence.will(connection),
    log,
    random,
  });
  onStop(() => link.close());
  presence.follow(link).catch((err: unknown) => log.error({ err }, "the machine's own presence cannot be read"));
  onStop(() => presence.farewell());
  return link;
}
