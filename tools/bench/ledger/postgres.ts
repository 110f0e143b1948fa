import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chown, mkdir, realpath } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { AppenderKind } from "./appenders.ts";
import { importIfInstalled } from "./optional.ts";
import { preparedBytes } from "./records.ts";

const run = promisify(execFile);

/** Connections are processes there: a thousand callers share so many. */
const MOST_CONNECTIONS = 100;
const STARTS_WITHIN_MS = 20_000;
const USER = "bench";

/** It refuses to run as root; then it runs as the first of these that the machine has. */
const UNPRIVILEGED = ["postgres", "nobody"] as const;

type Query = string | { name: string; text: string; values: Buffer[] };
type Pool = {
  query(query: Query): Promise<unknown>;
  on(event: "error", told: () => void): unknown;
  end(): Promise<void>;
};
/** The part of pg that is used here. */
type Client = {
  default: { Pool: new (options: { host: string; user: string; database: string; max: number }) => Pool };
};

/**
 * PostgreSQL as it syncs each commit, on a socket in its own folder: a record an insert, an insert a transaction. Null
 * where server or client is not installed.
 */
export async function postgres(): Promise<AppenderKind<Buffer> | null> {
  const client = await importIfInstalled<Client>("pg");
  const programs = await findPrograms();
  if (client === null || programs === null) return null;
  return {
    name: "PostgreSQL",
    prepare: preparedBytes,
    async open(folder, callers) {
      const server = await startServer(folder, programs);
      const connections = Math.min(callers, MOST_CONNECTIONS);
      const pool = new client.default.Pool({ host: folder, user: USER, database: "postgres", max: connections });
      // A connection that is idle when the server ends says so here; one that is in use, to whom it serves.
      pool.on("error", () => undefined);
      try {
        await whenReady(pool);
        await pool.query("CREATE TABLE records (seq BIGSERIAL PRIMARY KEY, bytes BYTEA NOT NULL)");
        // Connecting is not what is measured.
        await Promise.all(Array.from({ length: connections }, () => pool.query("SELECT pg_sleep(0.05)")));
      } catch (thrown) {
        await pool.end();
        await server.stop();
        throw thrown;
      }
      return {
        append: (bytes) =>
          pool.query({ name: "append", text: "INSERT INTO records (bytes) VALUES ($1)", values: [bytes] }),
        async close() {
          await pool.end();
          await server.stop();
        },
      };
    },
  };
}

type Programs = { postgres: string; initdb: string };
type Identity = { uid: number; gid: number } | null;

async function startServer(folder: string, programs: Programs): Promise<{ stop(): Promise<void> }> {
  const identity = await identityOf();
  const data = join(folder, "data");
  await mkdir(data, { mode: 0o700 });
  if (identity !== null) for (const path of [folder, data]) await chown(path, identity.uid, identity.gid);
  const options = { cwd: folder, env: { PATH: process.env["PATH"], LC_ALL: "C" }, ...identity };
  await run(programs.initdb, ["-D", data, "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8"], options);
  const settings = [
    "listen_addresses=",
    `unix_socket_directories=${folder}`,
    `max_connections=${MOST_CONNECTIONS + 10}`,
    "synchronous_commit=on",
    "fsync=on",
  ];
  const args = ["-D", data, ...settings.flatMap((setting) => ["-c", setting])];
  const server = spawn(programs.postgres, args, { ...options, stdio: "ignore" });
  return { stop: () => stopServer(server) };
}

/** SIGINT is its fast shutdown: clients are cut off and nothing is waited for. */
async function stopServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const gone = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGINT");
  await gone;
}

async function whenReady(pool: Pool): Promise<void> {
  const until = performance.now() + STARTS_WITHIN_MS;
  for (;;) {
    try {
      await pool.query("SELECT 1");
      return;
    } catch (thrown) {
      if (performance.now() > until) throw thrown;
      await pause(50);
    }
  }
}

/** Whom the server runs as; null for whoever runs this. */
async function identityOf(): Promise<Identity> {
  if (process.getuid?.() !== 0) return null;
  for (const name of UNPRIVILEGED) {
    const ids = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]).catch(() => null);
    if (ids !== null) return { uid: Number(ids[0].stdout), gid: Number(ids[1].stdout) };
  }
  throw new Error("PostgreSQL refuses to run as root, and there is no user postgres or nobody for it.");
}

/** Debian keeps the server's programs outside the search path; initdb lies beside the server. */
async function findPrograms(): Promise<Programs | null> {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const postgres = await realpath(join(folder, "postgres")).catch(() => null);
    if (postgres !== null) return { postgres, initdb: join(dirname(postgres), "initdb") };
  }
  return null;
}
