import { randomBytes } from "node:crypto";
import { v7 } from "uuid";
import { sign } from "../../lib/ledger/signature.ts";
import { createOutboxSender } from "../../lib/messaging/outbox-sender.ts";
import { followPrincipals } from "../../lib/messaging/principals.ts";
import { createRequester } from "../../lib/messaging/request-client.ts";
import { createDirectoryClient } from "../../lib/runtime/directory-client.ts";
import { createPersonKeys } from "../../lib/runtime/person-keys.ts";
import type { BookName } from "../../lib/contracts/names.ts";
import { Outbox } from "../../lib/storage/outbox/outbox.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { NO_BACKUPS } from "../support/backups.ts";
import type { Keyed, TestHub } from "../support/hub.ts";
import { logKeysOf } from "../support/log-keys.ts";
import { SILENT } from "../support/silent.ts";
import { witnessingOf } from "../support/witnessing.ts";

/* What the tests of services connect to a real hub: a service's own parts, a person who asks, a machine that reports. */

const now = Date.now;

/** What a service's `main.ts` would construct, on a store that the test gives. */
export async function joinAsService(hub: TestHub, service: Keyed, store: Store) {
  const link = await hub.link(service.name, service.password);
  const { privateKey, fingerprint } = service.key;
  return {
    store,
    link,
    principals: followPrincipals({ link, directoryKey: hub.directoryKey, log: SILENT }),
    personKeys: createPersonKeys({
      directory: () => createDirectoryClient({ url: hub.directoryUrl }),
      bearer: () => ({ name: service.name, token: service.password() }),
      now,
    }),
    self: {
      name: service.name,
      app: `${service.name}@test`,
      sign: (bytes: Uint8Array) => sign(privateKey, bytes),
      key: fingerprint,
      tz: "America/Sao_Paulo",
      now,
    },
    sign: async (bytes: Uint8Array) => sign(privateKey, bytes),
    keysOfProduction: async () => logKeysOf(`${hub.plant}/production`).known(),
    logKeys: logKeysOf(`${hub.plant}/${service.name}`),
    origin: `${hub.plant}/${service.name}`,
    backups: NO_BACKUPS,
    witnessing: witnessingOf(),
    newId: v7,
    random: randomBytes,
    log: SILENT,
  };
}

/** A person (or `local-admin`) with a session: asks services as the command line does. */
export async function joinAsPerson(hub: TestHub, name: string, now: () => number = Date.now) {
  const session = await hub.signIn(name);
  const link = await hub.link(session.user, () => session.token);
  const requester = createRequester({ link, user: session.user, session: session.session, newId: v7, now });
  return { call: requester.call.bind(requester), link, session };
}

/** A machine with an outbox in memory for one book. */
export async function joinAsMachine(hub: TestHub, machine: Keyed, book: BookName) {
  const link = await hub.link(machine.name, machine.password);
  const store = await Store.inMemory();
  const outbox = await Outbox.open({
    store,
    book,
    name: machine.name,
    app: "edge-agent@test",
    sign: (bytes) => sign(machine.key.privateKey, bytes),
    random: randomBytes,
    now,
  });
  const sender = createOutboxSender({
    link,
    outbox,
    owner: { kind: "machines", name: machine.name },
    log: SILENT,
    now,
  });
  sender.start();
  return {
    link,
    outbox,
    stage: (draft: Parameters<Outbox["stage"]>[1]) => store.write((tx) => outbox.stage(tx, draft)),
    async close() {
      await sender.stop();
      await store.close();
    },
  };
}
