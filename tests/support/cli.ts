import { spawn } from "node:child_process";
import { join } from "node:path";

const CLI = join(import.meta.dirname, "../../tools/cli.ts");

export type Ran = {
  code: number | null;
  stdout: string;
  stderr: string;
  /** The one JSON value that `--json` prints. */
  json: () => unknown;
};

/** Runs `rastro` as a shell would, with its own home, so that no sign-in of the developer's is used. */
export function rastro(
  environment: NodeJS.ProcessEnv,
  args: readonly string[],
  options: { stdin?: string; user?: string; password?: string } = {},
): Promise<Ran> {
  const { user, password, stdin = "" } = options;
  const child = spawn(process.execPath, [CLI, ...args], {
    env: {
      ...environment,
      HOME: "/nonexistent",
      XDG_CONFIG_HOME: "/nonexistent",
      ...(user === undefined ? {} : { RASTRO_USER: user, RASTRO_PASSWORD: password }),
    },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  // A command that needs no input may be over before it is given any.
  child.stdin.on("error", () => undefined);
  child.stdin.end(stdin);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      const text = Buffer.concat(stdout).toString("utf8");
      resolve({
        code,
        stdout: text,
        stderr: Buffer.concat(stderr).toString("utf8"),
        json: () => JSON.parse(text) as unknown,
      });
    });
  });
}
