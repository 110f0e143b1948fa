import { randomBytes } from "node:crypto";
import { type Prepared, prepare } from "../../broker/directory/prepare.ts";
import { askProcesses } from "../../console/readiness.ts";
import { createLog } from "../../lib/runtime/log.ts";
import { listRunFiles } from "../../lib/runtime/run-files.ts";
import { reachable, type Settings } from "../../lib/runtime/settings.ts";
import { createLauncher } from "./launch.ts";
import { createOutput, type Output, prettyLines } from "./output.ts";
import { onNpmGone } from "./parent.ts";
import { STACK } from "./plan.ts";
import { type Cleared, preflight } from "./preflight.ts";
import { readyBlock } from "./ready-block.ts";
import { onStopSignals } from "./signals.ts";
import { createSupervisor, type Supervisor } from "./supervisor.ts";
import { troublesOf } from "./troubles.ts";

const EXIT = { clean: 0, failed: 1, killed: 130 } as const;

export type StackOptions = {
  /** The folder of the project. */
  root: string;
  process: NodeJS.Process;
  now: () => number;
  /** When the command was typed, by `now`. */
  begunAt: number;
};

/** Runs the stack until it is told to stop, or cannot start. Says why in one sentence. @returns the exit code. */
export async function runStack(o: StackOptions): Promise<number> {
  const { env, stderr } = o.process;
  let cleared: Cleared | null = null;
  try {
    cleared = await preflight(env);
    return await runCleared(o, cleared.settings);
  } catch (error) {
    stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.failed;
  } finally {
    await cleared?.release();
  }
}

async function runCleared(o: StackOptions, settings: Settings): Promise<number> {
  const { stdout, stderr, env } = o.process;
  const pretty = stdout.isTTY ? await prettyLines() : null;
  const output = createOutput({ stdout, stderr, pretty, settings });
  const prepared = await prepare({
    settings,
    log: createLog("stack", settings, { write: (line) => output.log("stack", line.trimEnd()) }),
    now: o.now,
    random: randomBytes,
  });
  const launch = createLauncher({ root: o.root, env: childEnvironment(env, settings, o.root) });
  const supervisor = createSupervisor({ groups: STACK, launch, output, now: o.now });
  return superviseUntilStopped({ ...o, supervisor, output }, () => sayReady(o, output, settings, prepared));
}

async function superviseUntilStopped(
  o: StackOptions & { supervisor: Supervisor; output: Output },
  whenReady: () => Promise<void>,
): Promise<number> {
  const { supervisor, output } = o;
  const asked = Promise.withResolvers<void>();
  let stopAsked = false;
  let killed = false;
  const stop = () => {
    if (stopAsked) return;
    output.note("info", "stopping: console, agent, services, broker; again to kill them at once");
    stopAsked = true;
    asked.resolve();
    void supervisor.stop();
  };
  const stopWatching = onNpmGone({ env: o.process.env, parent: () => o.process.ppid, stop });
  const stopListening = onStopSignals({
    source: o.process,
    now: o.now,
    stop,
    kill: () => {
      killed = true;
      supervisor.kill();
    },
  });
  try {
    await supervisor.start();
    if (!stopAsked) await whenReady();
    await asked.promise;
  } finally {
    // Also after a start that failed: nothing stays half-started.
    const left = await supervisor.stop();
    if (left.killed.length > 0) output.note("warn", `had to be killed: ${left.killed.join(", ")}`);
    stopListening();
    stopWatching();
  }
  return killed ? EXIT.killed : EXIT.clean;
}

async function sayReady(o: StackOptions, output: Output, settings: Settings, prepared: Prepared): Promise<void> {
  const readiness = await askProcesses({ runFiles: () => listRunFiles(settings.data), fetch: globalThis.fetch });
  const local = reachable(settings.host);
  const host = local.includes(":") ? `[${local}]` : local;
  output.say(
    readyBlock({
      consoleUrl: `http://${host}:${settings.httpPort}`,
      mqttUrl: `mqtt://${host}:${settings.mqttPort}`,
      mqttsUrl: `mqtts://${settings.tlsHost.includes(":") ? `[${settings.tlsHost}]` : settings.tlsHost}:${settings.mqttsPort}`,
      wsUrl: `ws://${host}:${settings.wsPort}`,
      dataFolder: settings.data,
      machine: prepared.machine,
      setupCode: prepared.setupCode,
      adminCreated: prepared.adminCreated,
      tookMs: o.now() - o.begunAt,
      troubles: troublesOf(readiness),
    }),
  );
}

/** What the children are told: what the stack settled, without what is the stack's alone. */
function childEnvironment(env: NodeJS.ProcessEnv, settings: Settings, root: string): NodeJS.ProcessEnv {
  const { RASTRO_ADMIN_PASSWORD: _password, RASTRO_HEALTH_PORT: _onePortForAll, ...rest } = env;
  return {
    NODE_COMPILE_CACHE: `${root}/node_modules/.cache/node-compile`,
    ...rest,
    RASTRO_DATA: settings.data,
    RASTRO_MACHINE: settings.machine,
    RASTRO_MQTT_PORT: String(settings.mqttPort),
    RASTRO_MQTTS_PORT: String(settings.mqttsPort),
    RASTRO_WS_PORT: String(settings.wsPort),
    RASTRO_HTTP_PORT: String(settings.httpPort),
  };
}
