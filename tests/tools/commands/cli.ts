import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const cli = fileURLToPath(new URL("../../../tools/cli.ts", import.meta.url));

export type Done = { stdout: string; stderr: string; exit: number; json: () => unknown };

/** Runs the real command line with nothing but this environment, and these bytes on its standard input. */
export async function rastro(args: string[], env: Record<string, string>, stdin = ""): Promise<Done> {
  const child = spawn(process.execPath, [cli, ...args], { env: { PATH: process.env["PATH"], ...env } });
  child.stdin.on("error", () => {});
  child.stdin.end(stdin);
  const [stdout, stderr, [exit]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { stdout, stderr, exit: exit as number, json: () => JSON.parse(stdout) as unknown };
}
