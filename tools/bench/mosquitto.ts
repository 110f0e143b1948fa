import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { openAuthority } from "../../broker/tls/authority.ts";
import { freePort } from "./bench-plant.ts";
import { onCore, stopChild } from "./child.ts";
import type { Secured } from "./wire.ts";

export type Mosquitto = { port: number; secured: Secured | null; pid: number; close(): Promise<void> };

/** Mosquitto on a free port of loopback, as its package has it but for what is given; null when it is not installed. */
export async function startMosquitto(o: {
  noDelay: boolean;
  core?: number | null;
  /** Keeps sessions and what waits for them, without a limit, in its folder; it never syncs. */
  persistent?: boolean;
  /** Also listens for TLS, with a certificate of an authority made for it. */
  secured?: boolean;
}): Promise<Mosquitto | null> {
  const binary = findMosquitto();
  if (binary === null) return null;
  const folder = await mkdtemp(join(tmpdir(), "rastro-mosquitto-"));
  const port = await freePort();
  const lines = [`listener ${port} 127.0.0.1`, "allow_anonymous true", `set_tcp_nodelay ${o.noDelay}`];
  if (o.persistent === true) {
    lines.push("persistence true", `persistence_location ${folder}/`, "autosave_interval 1", "max_queued_messages 0");
  }
  const secured = o.secured === true ? await addTls(folder, lines, o.noDelay) : null;
  // As root it would change to a user who cannot write there.
  if (o.persistent === true) await chmod(folder, 0o777);
  await writeFile(join(folder, "mosquitto.conf"), `${lines.join("\n")}\n`);
  const [program, ...args] = onCore(o.core ?? null, [binary, "-c", join(folder, "mosquitto.conf")]);
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  const said = createInterface({ input: child.stderr });
  await Promise.race([
    new Promise<void>((resolve) => said.on("line", (line) => line.endsWith(" running") && resolve())),
    once(child, "exit").then(() => Promise.reject(new Error("mosquitto ended before it ran"))),
  ]);
  return {
    port,
    secured,
    pid: child.pid ?? 0,
    async close() {
      await stopChild(child);
      await rm(folder, { recursive: true });
    },
  };
}

async function addTls(folder: string, lines: string[], noDelay: boolean): Promise<Secured> {
  const files = { key: join(folder, "ca.key"), certificate: join(folder, "ca.crt") };
  const authority = await openAuthority({ ...files, plant: "bench", now: Date.now });
  const { key, certificate } = await authority.issueServer(["127.0.0.1", "localhost"]);
  await writeFile(join(folder, "hub.key"), key);
  await writeFile(join(folder, "hub.crt"), certificate);
  await chmod(folder, 0o777);
  const port = await freePort();
  lines.push(`listener ${port} 127.0.0.1`, "allow_anonymous true", `set_tcp_nodelay ${noDelay}`);
  lines.push(
    `cafile ${files.certificate}`,
    `certfile ${join(folder, "hub.crt")}`,
    `keyfile ${join(folder, "hub.key")}`,
  );
  return { port, ca: authority.certificate };
}

function findMosquitto(): string | null {
  const folders = [
    ...(process.env["PATH"] ?? "").split(delimiter),
    "/usr/sbin",
    "/usr/local/sbin",
    "/opt/homebrew/sbin",
  ];
  return folders.map((folder) => join(folder, "mosquitto")).find((file) => existsSync(file)) ?? null;
}
