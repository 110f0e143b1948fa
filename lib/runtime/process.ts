import { type ErrorCode, RastroError } from "../contracts/errors.ts";
import { foldersOf } from "./folders.ts";
import { type Health, startHealth } from "./health.ts";
import { createLog, type Logger } from "./log.ts";
import { removeRunFile, writeRunFile } from "./run-files.ts";
import { readSettings, type Settings } from "./settings.ts";
import { createStopping } from "./stopping.ts";

/** What a process is handed to start with. */
export type ProcessContext = {
  name: string;
  settings: Settings;
  folders: ReturnType<typeof foldersOf>;
  log: Logger;
  health: Health;
  /** Says that the start takes its time since work is done that has to be, so that nobody takes it for stuck. */
  works(): void;
  /** Hooks run one after the other at the stop, the last one first, within 4 seconds in all. */
  onStop(hook: () => Promise<void> | void): void;
};

/** The process ended because it was asked to, or by a fault that a restart may cure, or by one that it cannot. */
export const EXIT = { clean: 0, fault: 1, hopeless: 78 } as const;

/** Restarting cures none of these: a person has to change something first (78 is EX_CONFIG of sysexits.h). */
const HOPELESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "bad_setting",
  "port_taken",
  "store_locked",
  "store_unusable",
  "store_newer",
  "bad_credentials",
]);

/**
 * The frame of every process: settings, log, health server, run file, stop and exit code.
 *
 * It stops on SIGTERM, on the message `{stop: true}` of a parent, when the parent is gone, and on SIGINT unless a
 * parent holds it: a terminal sends SIGINT to parent and children at once, and the parent knows the order to stop in.
 * Once `start` has resolved the run file is there, `/readyz` may answer 200, and the parent has got `{ready: true}`.
 *
 * Ends the process itself, with {@link EXIT}; a fault at the start is one log line and one sentence on stderr.
 */
export async function runProcess(
  name: string,
  start: (context: ProcessContext) => Promise<void>,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const settings = settingsOrExit(name, environment);
  const log = createLog(name, settings);
  const stopping = createStopping({ log, limitMs: 4000 });
  let started = false;

  const end = (code: number) => {
    removeRunFile(settings.data, name, process.pid);
    process.exit(code);
  };
  const stop = async (why: string) => {
    log.info({ why }, "stopping");
    end((await stopping.run()) ? EXIT.clean : EXIT.fault);
  };
  onFault((error) => {
    log.fatal({ err: error }, "a fault that nothing handles; the process ends");
    end(EXIT.fault);
  });
  onStopRequest((why) => void stop(why));

  try {
    const health = await startHealth({ name, log, port: settings.healthPort });
    stopping.add(() => health.close());
    health.check("process", () => (stopping.begun ? "stopping" : started || "starting"));
    await start({
      name,
      settings,
      folders: foldersOf(settings.data),
      log,
      health,
      works: () => void (process.connected && process.send?.({ works: true })),
      onStop: (hook) => stopping.add(hook),
    });
    if (stopping.begun) return;
    await writeRunFile(settings.data, { name, pid: process.pid, url: health.url, startedAt: new Date().toISOString() });
    started = true;
    // In this order, so that what a parent says of all being ready comes after this line.
    log.info({ health: health.url }, "ready");
    if (process.connected) process.send?.({ ready: true });
  } catch (error) {
    // Hooks close what the start opened, and a stop that came meanwhile explains the failure better than the error.
    if (stopping.begun) return;
    report(name, log, error);
    await stopping.run();
    end(exitCodeOf(error));
  }
}

function settingsOrExit(name: string, environment: NodeJS.ProcessEnv): Settings {
  try {
    return readSettings(environment);
  } catch (error) {
    report(name, createLog(name, { logLevel: "info" }), error);
    return process.exit(exitCodeOf(error));
  }
}

function report(name: string, log: Logger, error: unknown): void {
  if (error instanceof RastroError) log.fatal({ problem: error.problem }, error.message);
  else log.fatal({ err: error }, "the start failed");
  process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
}

function exitCodeOf(error: unknown): number {
  return error instanceof RastroError && HOPELESS.has(error.code) ? EXIT.hopeless : EXIT.fault;
}

function onFault(handle: (error: unknown) => void): void {
  process.on("uncaughtException", handle);
  process.on("unhandledRejection", handle);
}

function onStopRequest(stop: (why: string) => void): void {
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => {
    if (!process.connected) stop("SIGINT");
  });
  if (!process.connected) return;
  process.on("disconnect", () => stop("the parent is gone"));
  process.on("message", (message) => {
    if ((message as { stop?: unknown } | null)?.stop === true) stop("asked by the parent");
  });
}
