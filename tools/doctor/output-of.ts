import { execFile } from "node:child_process";

const TIMEOUT_MS = 5000;

/** What a program prints, trimmed; null when it is not there, fails or takes longer than five seconds. */
export function outputOf(program: string, args: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, shell: process.platform === "win32" };
    execFile(program, [...args], options, (error, stdout) => resolve(error === null ? stdout.trim() : null));
  });
}
