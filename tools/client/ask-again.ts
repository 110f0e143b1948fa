import { RastroError } from "../../lib/contracts/errors.ts";

/**
 * What is known stays known when a question after it fails because a fleet or hub is being started anew: what was asked
 * for goes on without whoever waits.
 */
export function orKnown<T>(known: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof RastroError && (error.code === "timeout" || error.code === "not_reachable")) return known;
    throw error;
  };
}
