import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const stackFile = fileURLToPath(new URL("../../../tools/stack.ts", import.meta.url));

export type RealStack = {
  child: ChildProcess;
  consoleUrl: string;
  mqttPort: number;
  /** Everything that it wrote to stdout so far. */
  stdout: () => string;
  stderr: () => string;
  /** Resolves when stdout contains the text. */
  said: (text: string) => Promise<void>;
  /** Sends a signal and resolves to the exit code. */
  stop: (signal?: NodeJS.Signals) => Promise<number | null>;
};

const DIRECTLY: readonly [string, string[]] = [process.execPath, [stackFile]];

/** As a person types it. */
export const BY_NPM: readonly [string, string[]] = ["npm", ["start"]];

/** Starts the real stack on free ports and resolves at its ready block. */
export async function startStack(env: Record<string, string>, [command, args] = DIRECTLY): Promise<RealStack> {
  const child = spawn(command, args, {
    cwd: root,
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      RASTRO_MQTT_PORT: "0",
      RASTRO_WS_PORT: "0",
      RASTRO_MQTTS_PORT: "0",
      RASTRO_HTTP_PORT: "0",
      RASTRO_MACHINE: "press-9",
      RASTRO_STATION_PORT: "0",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
  const closed = once(child, "close") as Promise<[number | null]>;
  const said = async (text: string) => {
    while (!stdout.includes(text)) {
      const ended = await Promise.race([once(child.stdout, "data").then(() => false), closed.then(() => true)]);
      if (ended && !stdout.includes(text))
        throw new Error(`the stack ended without saying "${text}": ${stderr}\n${stdout}`);
    }
  };
  await said("Ctrl-C");
  return {
    child,
    consoleUrl: /Console +(\S+)/.exec(stdout)?.[1] ?? "",
    mqttPort: Number(/MQTT +mqtt:\/\/[^:]+:(\d+)/.exec(stdout)?.[1]),
    stdout: () => stdout,
    stderr: () => stderr,
    said,
    stop: async (signal = "SIGTERM") => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return (await closed)[0];
    },
  };
}
