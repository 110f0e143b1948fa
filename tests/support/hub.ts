import { randomBytes } from "node:crypto";
import type { AccessEvent, OnAccess } from "../../broker/access-events.ts";
import { announcePrincipals } from "../../broker/directory/announce.ts";
import { type Directory, openDirectory } from "../../broker/directory/directory.ts";
import { BY_DIRECTORY } from "../../broker/directory/drafts.ts";
import { directoryRoutes, type OnRefusedRequest } from "../../broker/directory/http.ts";
import { type Erasures, erasuresInMemory } from "../../broker/directory/erasures.ts";
import type { PasswordCost } from "../../lib/runtime/passwords.ts";
import type { NewPerson } from "../../broker/directory/people.ts";
import type { SessionLimits } from "../../broker/directory/sessions.ts";
import { followDirectory } from "../../broker/live-effect.ts";
import type { Authority } from "../../broker/tls/authority.ts";
import type { Hub, HubOptions } from "../../broker/hub.ts";
import { startHub } from "../../broker/start-hub.ts";
import { LOCAL_ADMIN, type Session } from "../../lib/contracts/directory.ts";
import { sign } from "../../lib/ledger/signature.ts";
import { type Link, openLink } from "../../lib/messaging/link.ts";
import { createOutboxSender } from "../../lib/messaging/outbox-sender.ts";
import { startHealth } from "../../lib/runtime/health.ts";
import { createKey, type KeyPair } from "../../lib/runtime/keys.ts";
import { signToken } from "../../lib/runtime/token.ts";
import type { Backups } from "../../lib/storage/backup/backups.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { CHEAP } from "./directory.ts";
import { SILENT } from "./silent.ts";

/** What signs in with a key: `password()` makes a fresh token for `openLink` or an MQTT client. */
export type Keyed = { name: string; key: KeyPair; password: () => string };

export type TestHub = {
  /** `mqtt://127.0.0.1:<port>` */
  url: string;
  /** Where the directory's HTTP interface is. */
  directoryUrl: string;
  /** The audience of tokens. */
  plant: string;
  hub: Hub;
  directory: Directory;
  /** Raw public key under which principals are signed. */
  directoryKey: Buffer;
  /** The local administrator's key. */
  localKey: string;
  /** What the console shows to be believed. */
  forwarder: string;
  /** Everything that the hub's access port was told. */
  access: AccessEvent[];
  addMachine: (id: string, o?: { speaksFor?: string[] }) => Promise<Keyed>;
  /** A machine that has a secret and signs nothing. */
  addDevice: (id: string, o?: { speaksFor?: string[] }) => Promise<{ name: string; secret: string }>;
  addPerson(
    name: string,
    profile: PersonProfile,
    password?: string,
  ): Promise<{ name: string; sub: string; password: string }>;
  addService: (name: string) => Promise<Keyed>;
  /** Starts a session: its token is an MQTT password. */
  signIn: (name: string, password?: string) => Promise<Session>;
  /** A link as `name`, connected. Closed with the hub. */
  link: (name: string, password: () => string) => Promise<Link>;
  close: () => Promise<void>;
};

type PersonProfile = NewPerson["profile"];

/**
 * Starts a real hub with a real directory in this process, on free ports of loopback. The directory's stores are in
 * memory unless given; its service and principals are connected as in the broker's own process.
 */
export async function startTestHub(
  o: {
    now?: () => number;
    stores?: { store: Store; keyStore: Store };
    erasures?: Erasures;
    systemTopicsMs?: number;
    port?: number;
    wsPort?: number;
    passwordCost?: PasswordCost;
    /** Issues client certificates; none unless given. */
    authority?: Authority;
    /** Of the directory's stores; none unless given. */
    backups?: Backups;
    /** MQTT over TLS besides. */
    tls?: HubOptions["tls"];
    sessionLimits?: SessionLimits;
    persistence?: HubOptions["persistence"];
    connectionLimits?: HubOptions["connectionLimits"];
    outletLimits?: HubOptions["outletLimits"];
    /** Told besides {@link TestHub.access}. */
    onAccess?: OnAccess;
    onRefusedRequest?: OnRefusedRequest;
  } = {},
): Promise<TestHub> {
  const now = o.now ?? Date.now;
  const stores = o.stores ?? { store: await Store.inMemory(), keyStore: await Store.inMemory() };
  const plant = { id: "plant-test", createdAt: new Date(now()).toISOString() };
  const serviceKey = createKey();
  const signing = createKey();
  const localKey = randomBytes(32).toString("base64url");
  const forwarder = randomBytes(32).toString("base64url");
  const access: AccessEvent[] = [];
  const links: Link[] = [];

  const directory = await openDirectory({
    ...stores,
    erasures: o.erasures ?? erasuresInMemory(),
    plant,
    tz: "America/Sao_Paulo",
    localKey,
    sign: (bytes) => sign(serviceKey.privateKey, bytes),
    log: SILENT,
    now,
    random: randomBytes,
    passwordCost: o.passwordCost ?? CHEAP,
    ...(o.sessionLimits === undefined ? {} : { sessionLimits: o.sessionLimits }),
  });
  const hub = await startHub({
    host: "127.0.0.1",
    port: o.port ?? 0,
    authenticator: directory.credentials,
    forwarder,
    ...(o.outletLimits === undefined ? {} : { outletLimits: o.outletLimits }),
    ...(o.connectionLimits === undefined ? {} : { connectionLimits: o.connectionLimits }),
    log: SILENT,
    ...(o.tls === undefined ? {} : { tls: o.tls }),
    onAccess: (event) => {
      access.push(event);
      o.onAccess?.(event);
    },
    ...(o.wsPort === undefined ? {} : { wsPort: o.wsPort }),
    ...(o.persistence === undefined ? {} : { persistence: o.persistence }),
    ...(o.systemTopicsMs === undefined ? {} : { systemTopicsMs: o.systemTopicsMs }),
  });
  followDirectory({ hub, directory, log: SILENT });
  const health = await startHealth({ name: "broker", log: SILENT });
  health.mount(
    directoryRoutes({
      authority: o.authority ?? null,
      backups: o.backups ?? null,
      directory,
      connections: hub,
      now,
      log: SILENT,
      forwarder,
      onRefused: (refused) => o.onRefusedRequest?.(refused),
    }),
  );

  const tokenOf = (name: string, key: KeyPair) => () =>
    signToken({ sub: name, aud: plant.id, privateKey: key.privateKey, now, nonce: randomBytes(8).toString("hex") });
  const connect = async (name: string, password: () => string) => {
    const link = openLink({ url: hub.url, name, password, log: SILENT, random: randomBytes });
    links.push(link);
    await link.whenConnected();
    return link;
  };
  const base64 = (key: KeyPair) => key.publicRaw.toString("base64");

  if (directory.register.get("directory") === undefined) {
    await directory.devices.addService(BY_DIRECTORY, "directory", base64(serviceKey));
  } else {
    await directory.devices.replaceKey(BY_DIRECTORY, "directory", base64(serviceKey));
  }
  const own = await connect("directory", tokenOf("directory", serviceKey));
  announcePrincipals({ directory, link: own, sign: (bytes) => sign(signing.privateKey, bytes), log: SILENT });
  const owner = { kind: "services", name: "directory" } as const;
  const sender = createOutboxSender({ link: own, outbox: directory.outbox, owner, log: SILENT, now });
  sender.start();

  return {
    url: hub.url,
    directoryUrl: health.url,
    plant: plant.id,
    hub,
    directory,
    directoryKey: signing.publicRaw,
    localKey,
    forwarder,
    access,
    async addMachine(id, { speaksFor = [] } = {}) {
      const key = createKey();
      await directory.devices.addMachine(BY_DIRECTORY, { id, publicKey: base64(key), speaksFor });
      return { name: id, key, password: tokenOf(id, key) };
    },
    async addDevice(id, { speaksFor = [] } = {}) {
      const { secret } = await directory.devices.addMachine(BY_DIRECTORY, { id, publicKey: null, speaksFor });
      return { name: id, secret: secret ?? "" };
    },
    async addPerson(name, profile, password = `${name}-password`) {
      await directory.people.add(BY_DIRECTORY, { name, profile, password });
      return { name, sub: directory.register.principal(name)?.sub ?? "", password };
    },
    async addService(name) {
      const key = createKey();
      await directory.devices.addService(BY_DIRECTORY, name, base64(key));
      return { name, key, password: tokenOf(name, key) };
    },
    signIn(name, password = `${name}-password`) {
      if (name === LOCAL_ADMIN) return directory.signInLocal(localKey, "test");
      return directory.signIn({ user: name, password, address: "127.0.0.1" }, "test");
    },
    link: connect,
    async close() {
      await sender.stop();
      await Promise.all(links.map((link) => link.close()));
      await health.close();
      await hub.close();
      await stores.store.close();
      await stores.keyStore.close();
    },
  };
}
