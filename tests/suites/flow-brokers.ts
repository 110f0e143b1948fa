import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Principal, Profile } from "../../lib/contracts/directory.ts";
import { createKey, type KeyPair } from "../../lib/runtime/keys.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { mosquittoAcl } from "../../tools/acl/mosquitto-acl.ts";
import { findMosquitto, freePort, running } from "../conformance/brokers.ts";
import { startTestHub } from "../support/hub.ts";
import { principal } from "../support/principals.ts";

/** Somebody with a password at the broker, and what services know of the name. */
export type Member = { principal: Principal; key: KeyPair; password: () => string; session: string };

/** A broker that keeps everyone to the table of rights, and can be cut off and come back at the same address. */
export type FlowBroker = {
  url: string;
  members: Readonly<Record<string, Member>>;
  /** Every connection goes; what the broker had in memory is lost. */
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
};

export type Users = Readonly<Record<string, Profile>>;

/** `start` gives null where the broker is not installed. */
export const FLOW_BROKERS: readonly { name: string; start: (users: Users) => Promise<FlowBroker | null> }[] = [
  { name: "our hub", start: startOurs },
  { name: "Mosquitto", start: startMosquitto },
];

async function startOurs(users: Users): Promise<FlowBroker> {
  const folder = await mkdtemp(join(tmpdir(), "rastro-flow-hub-"));
  const openStores = async () => ({
    store: await Store.openFolder(join(folder, "directory")),
    keyStore: await Store.openFolder(join(folder, "people-keys")),
  });
  let hub = await startTestHub({ stores: await openStores() });
  const { url } = hub;
  const { port } = hub.hub;
  const members: Record<string, Member> = {};
  for (const [name, profile] of Object.entries(users)) {
    const member = await register(name, profile);
    members[name] = { ...member, principal: hub.directory.register.principal(name) as Principal };
  }
  let up = true;

  async function register(name: string, profile: Profile): Promise<Omit<Member, "principal">> {
    if (profile === "machine") return { ...(await hub.addMachine(name)), session: "" };
    if (profile === "service") return { ...(await hub.addService(name)), session: "" };
    await hub.addPerson(name, profile);
    const { token, session } = await hub.signIn(name);
    return { key: createKey(), password: () => token, session };
  }

  async function kill(): Promise<void> {
    if (up) await hub.close();
    up = false;
  }

  return {
    url,
    members,
    kill,
    async start() {
      hub = await startTestHub({ stores: await openStores(), port });
      up = true;
    },
    async close() {
      await kill();
      await rm(folder, { recursive: true });
    },
  };
}

async function startMosquitto(users: Users): Promise<FlowBroker | null> {
  const binary = findMosquitto();
  if (binary === null) return null;
  const folder = await mkdtemp(join(tmpdir(), "rastro-flow-mosquitto-"));
  const port = await freePort();
  const configuration = await configure(folder, port, users);
  const run = async () => {
    const child = spawn(binary, ["-c", configuration], { stdio: ["ignore", "ignore", "pipe"] });
    await running(child);
    return child;
  };
  let child = await run();

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  return {
    url: `mqtt://127.0.0.1:${port}`,
    members: Object.fromEntries(Object.entries(users).map(([name, profile]) => [name, memberOf(name, profile)])),
    kill,
    async start() {
      child = await run();
    },
    async close() {
      await kill();
      await rm(folder, { recursive: true });
    },
  };
}

/** A password for each, and the rights that `rastro acl` writes. */
async function configure(folder: string, port: number, users: Users): Promise<string> {
  const entries = Object.entries(users);
  const passwords = entries.map(([name]) => `${name}:${passwordOf(name)}\n`).join("");
  await writeFile(join(folder, "passwords"), passwords, { mode: 0o600 });
  execFileSync("mosquitto_passwd", ["-U", join(folder, "passwords")]);
  await writeFile(join(folder, "acl"), mosquittoAcl(entries.map(([name, profile]) => ({ name, profile }))));
  const settings = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous false",
    `password_file ${join(folder, "passwords")}`,
    `acl_file ${join(folder, "acl")}`,
    "persistence false",
    "set_tcp_nodelay true",
    // As root it would give its rights up and then not be able to read this folder.
    "user root",
  ];
  await writeFile(join(folder, "mosquitto.conf"), `${settings.join("\n")}\n`);
  return join(folder, "mosquitto.conf");
}

function memberOf(name: string, profile: Profile): Member {
  const key = createKey();
  const publicKey = profile === "machine" || profile === "service" ? key.publicRaw.toString("base64") : null;
  return { principal: principal(name, profile, { publicKey }), key, password: () => passwordOf(name), session: "s1" };
}

function passwordOf(name: string): string {
  return `${name}-pass`;
}
