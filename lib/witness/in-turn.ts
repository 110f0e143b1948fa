import { RastroError } from "../contracts/errors.ts";

export interface Turns {
  /**
   * Does the work after all that was given before for the same name.
   *
   * @throws RastroError `busy` when too much waits; else what the work throws.
   */
  take<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** One piece of work at a time for each name. @param waitingMaximum - for one name, the one that is done included. */
export function createTurns(waitingMaximum: number): Turns {
  const waiting = new Map<string, { last: Promise<unknown>; count: number }>();
  return {
    take(name, work) {
      const queue = waiting.get(name) ?? { last: Promise.resolve(), count: 0 };
      if (queue.count >= waitingMaximum) return Promise.reject(tooMany(name));
      queue.count += 1;
      waiting.set(name, queue);
      const turn = queue.last.then(work).finally(() => {
        queue.count -= 1;
        if (queue.count === 0) waiting.delete(name);
      });
      queue.last = turn.catch(() => undefined);
      return turn;
    },
  };
}

function tooMany(name: string): RastroError {
  return new RastroError({ code: "busy", message: `Taking a request about "${name}" failed: too many wait already.` });
}
