import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Aedes } from "aedes";
import { onTestFinished } from "vitest";

/** A broker without our rules, which can be killed and started again on the same port. Ends with its test. */
export type PlainBroker = {
  url: string;
  /** As a power cut: every connection goes without a word. */
  kill(): Promise<void>;
  start(): Promise<void>;
};

/** What a plain Aedes is told to refuse, changeable while it runs. */
export type Behaviour = {
  password: (user: string, password: string) => boolean;
  subscribe: (filter: string) => boolean;
  /** False: the publish is neither delivered nor acknowledged. */
  answerPublish: (topic: string) => boolean;
  published: (topic: string, payload: Buffer) => void;
};

const MOSQUITTO = "/usr/sbin/mosquitto";

/** The brokers that the flows run on: Aedes, and Mosquitto where it is installed. */
export const PLAIN_BROKERS: readonly { name: string; start: () => Promise<PlainBroker> }[] = [
  { name: "Aedes", start: () => startAedes() },
  ...(existsSync(MOSQUITTO) ? [{ name: "Mosquitto", start: startMosquitto }] : []),
];

export async function startAedes(behaviour: Partial<Behaviour> = {}): Promise<PlainBroker> {
  let running = await listen(behaviour, 0);
  const { port } = running;
  onTestFinished(() => running.end());
  return {
    url: `mqtt://127.0.0.1:${port}`,
    kill: () => running.end(),
    async start() {
      running = await listen(behaviour, port);
    },
  };
}

async function listen(behaviour: Partial<Behaviour>, wanted: number): Promise<{ port: number; end(): Promise<void> }> {
  const aedes = await Aedes.createBroker();
  aedes.authenticate = (_client, user, password, done) =>
    done(null, behaviour.password?.(user ?? "", password?.toString() ?? "") ?? true);
  aedes.authorizeSubscribe = (_client, asked, done) =>
    done(null, (behaviour.subscribe?.(asked.topic) ?? true) ? asked : null);
  aedes.authorizePublish = (_client, packet, done) => {
    behaviour.published?.(packet.topic, Buffer.from(packet.payload));
    if (behaviour.answerPublish?.(packet.topic) ?? true) done(null);
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    aedes.handle(socket);
  });
  await bind(server, wanted);
  return {
    port: (server.address() as AddressInfo).port,
    async end() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
    },
  };
}

async function bind(server: Server, port: number): Promise<void> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}

/** A TCP server that accepts and never says a word, as a hub does whose process hangs. */
export async function startMute(): Promise<{ url: string; accepted: Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket));
  const accepted = once(server, "connection").then(() => {});
  await bind(server, 0);
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`, accepted };
}

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await bind(server, 0);
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function startMosquitto(): Promise<PlainBroker> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "rastro-mosquitto-"));
  const file = join(folder, "mosquitto.conf");
  await writeFile(file, `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n`);
  let running = await run(file);
  onTestFinished(async () => {
    await running.kill();
    await rm(folder, { recursive: true });
  });
  return {
    url: `mqtt://127.0.0.1:${port}`,
    kill: () => running.kill(),
    async start() {
      running = await run(file);
    },
  };
}

async function run(file: string): Promise<{ kill(): Promise<void> }> {
  const child = spawn(MOSQUITTO, ["-v", "-c", file], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "exit");
  const lines = createInterface({ input: child.stderr });
  await new Promise<void>((resolve, reject) => {
    lines.on("line", (line) => line.includes(" running") && resolve());
    child.once("exit", (code) => reject(new Error(`mosquitto ended with code ${code} before it ran`)));
  });
  return {
    async kill() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await ended;
    },
  };
}
