import { constants, setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { collectSystemInfo } from "./collect-system-info.ts";
import type { WorkerWord } from "./system-info.ts";

// On Linux a priority belongs to a thread, and this one has inherited the status's own.
if (process.platform === "linux") setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads has no origin
const say = (word: WorkerWord) => parentPort?.postMessage(word);
const { default: information } = await import("systeminformation");
say({ info: await collectSystemInfo(information, (done, of) => say({ done, of })) });
