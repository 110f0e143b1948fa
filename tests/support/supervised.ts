import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/**
 * One real process of the system, started again at once whenever it ends without being asked to.
 *
 * `ready` is renewed at each start, and resolves when the process says over its channel that it is up.
 */
export class Supervised {
  readonly name: string;
  readonly #main: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #lines: string[] = [];
  #child: ChildProcess | null = null;
  #stopping = false;
  #ended: Promise<void> = Promise.resolve();
  ready: Promise<void> = Promise.resolve();

  /** @param main - path of the `main.ts` from the root of the project. */
  constructor(name: string, main: string, environment: NodeJS.ProcessEnv) {
    this.name = name;
    this.#main = main;
    this.#environment = environment;
  }

  start(): Promise<void> {
    const child = spawn(process.execPath, [join(root, this.#main)], {
      env: this.#environment,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#child = child;
    this.#keepOutput(child);
    const up = Promise.withResolvers<void>();
    // Whoever awaits an older `ready` of a process that was killed meanwhile is told by the next start.
    up.promise.catch(() => undefined);
    this.ready = up.promise;
    child.on("message", (message) => {
      if ((message as { ready?: boolean }).ready === true) up.resolve();
    });
    this.#ended = new Promise((resolve) => {
      child.once("close", (code) => {
        up.reject(new Error(`${this.name} ended with ${code} before it was ready:\n${this.output()}`));
        resolve();
        if (!this.#stopping) void this.start();
      });
    });
    return up.promise;
  }

  /** As a power switch would end it: nothing of the process runs any more. It is started again. */
  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  /** Ends it for good, in the orderly way. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child?.kill("SIGTERM");
    await this.#ended;
  }

  /** The last lines that it wrote, for messages of failed tests. */
  output(): string {
    return this.#lines.slice(-40).join("");
  }

  #keepOutput(child: ChildProcess): void {
    const keep = (chunk: Buffer) => {
      this.#lines.push(chunk.toString("utf8"));
      if (this.#lines.length > 400) this.#lines.splice(0, 200);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
  }
}
