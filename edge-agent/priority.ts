import { constants, setPriority } from "node:os";

/**
 * Asks the system to let the agent's main thread go before ordinary work: a millisecond is short, and a busy host
 * otherwise takes the processor away for ten. Needs a right that services have (on Linux root or CAP_SYS_NICE).
 *
 * @returns whether it was granted; without it everything works, less evenly.
 */
export function goFirst(set: (pid: number, priority: number) => void = setPriority): boolean {
  try {
    set(process.pid, constants.priority.PRIORITY_ABOVE_NORMAL);
    return true;
  } catch {
    return false;
  }
}
