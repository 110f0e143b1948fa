import { setImmediate as nextTurn } from "node:timers/promises";

/** Lets timers run; awaited between the slices of long work, so that it does not hold up the status. */
export type Breathe = () => Promise<void>;

export const breathe: Breathe = () => nextTurn();
