import type { ChildProcess } from "node:child_process";
import { RastroError } from "../../lib/contracts/errors.ts";
import { onLines } from "./lines.ts";
import type { Output } from "./output.ts";
import type { Plan } from "./plan.ts";

/** A setting or store fault that a restart cannot cure (sysexits.h, EX_CONFIG). */
export const EXIT_INCURABLE = 78;

export type Timing = {
  /** The first pause before a restart, doubled up to `longestPauseMs` each time. */
  firstPauseMs: number;
  longestPauseMs: number;
  /** Ready for so long, a child's next death begins again with the first pause. */
  healthyMs: number;
};
export const TIMING: Timing = { firstPauseMs: 250, longestPauseMs: 10_000, healthyMs: 30_000 };

/** One child process that is kept running. */
export interface Worker {
  readonly name: string;
  /** Whether a process of it exists at this moment. */
  readonly running: boolean;
  /**
   * Launches the child and resolves when it first reports ready. Rejects with the child's own sentence when it ends
   * with {@link EXIT_INCURABLE} before that; any other end is followed by a restart, for as long as it takes.
   *
   * @param onWork - called whenever the child says that its start takes long because of work that it does.
   */
  start(onWork?: () => void): Promise<void>;
  /** The last line that the child wrote to stderr, for whoever gives up waiting. */
  lastWords(): string | null;
  /** Asks the child to end (SIGTERM), never restarts it, resolves when it is gone. */
  stop(): Promise<void>;
  /** Ends it without asking. */
  kill(): void;
}

/** @param o.launch - starts the process with stdout and stderr as pipes and an IPC channel. */
export function createWorker(o: {
  plan: Plan;
  launch: (plan: Plan) => ChildProcess;
  output: Output;
  now: () => number;
  timing: Timing;
}): Worker {
  const { plan, output, now, timing } = o;
  const first = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  // A worker that fails while nobody waits for it yet must not count as an unhandled rejection.
  first.promise.catch(() => {});
  let child: ChildProcess | null = null;
  let retry: NodeJS.Timeout | null = null;
  let stopping = false;
  let everReady = false;
  let readyAt: number | null = null;
  let pauseMs = timing.firstPauseMs;
  let held: string[] = [];
  let onWork: () => void = () => undefined;

  const launch = () => {
    retry = null;
    readyAt = null;
    held = [];
    const started = o.launch(plan);
    child = started;
    if (started.stdout) onLines(started.stdout, (line) => output.log(plan.name, line));
    if (started.stderr) onLines(started.stderr, hear);
    started.on("message", (message) => {
      if (says(message, "ready")) becomeReady();
      if (says(message, "works")) onWork();
    });
    let failed = false;
    started.on("error", (error) => {
      hear(error.message);
      failed = started.pid === undefined;
      if (failed) ended(null, null);
    });
    started.on("close", (code, signal) => {
      if (!failed) ended(code, signal);
    });
  };

  // Until it is ready its words are kept back: they may turn out to be the one sentence of a start that failed.
  const hear = (line: string) => {
    if (readyAt !== null) output.error(plan.name, line);
    held.push(line);
    if (held.length > 50) held.shift();
  };

  const becomeReady = () => {
    readyAt = now();
    for (const line of held) output.error(plan.name, line);
    if (everReady) output.note("info", `${plan.name} is ready again.`);
    everReady = true;
    first.resolve();
  };

  const ended = (code: number | null, signal: string | null) => {
    child = null;
    if (stopping) return gone.resolve();
    if (code === EXIT_INCURABLE) return giveUp();
    if (readyAt === null) for (const line of held) output.error(plan.name, line);
    else if (now() - readyAt >= timing.healthyMs) pauseMs = timing.firstPauseMs;
    output.note(
      "warn",
      `${plan.name} ended (${signal ?? `exit code ${code ?? "unknown"}`}); restarting it in ${pauseMs} ms.`,
    );
    retry = setTimeout(launch, pauseMs);
    pauseMs = Math.min(pauseMs * 2, timing.longestPauseMs);
  };

  const giveUp = () => {
    gone.resolve();
    const sentence = lastWords() ?? `${plan.name} ended with exit code ${EXIT_INCURABLE} and gave no reason.`;
    if (!everReady) return first.reject(new RastroError({ code: "internal", message: sentence }));
    output.note(
      "error",
      `${plan.name} stays down, since a restart cannot cure this: ${sentence} Mend it and start the stack again.`,
    );
  };

  const end = (signal: NodeJS.Signals) => {
    stopping = true;
    if (retry !== null) clearTimeout(retry);
    if (child === null) gone.resolve();
    else if (signal === "SIGTERM" && process.platform === "win32") child.send({ stop: true });
    else child.kill(signal);
  };

  const lastWords = () => held.findLast((line) => line.trim() !== "") ?? null;

  return {
    name: plan.name,
    get running() {
      return child !== null;
    },
    start: (heard = () => undefined) => {
      onWork = heard;
      launch();
      return first.promise;
    },
    lastWords,
    stop: () => {
      end("SIGTERM");
      return gone.promise;
    },
    kill: () => end("SIGKILL"),
  };
}

function says(message: unknown, word: "ready" | "works"): boolean {
  return typeof message === "object" && message !== null && (message as Record<string, unknown>)[word] === true;
}
