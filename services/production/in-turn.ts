/** Takes work that has begun; what it returns settles in the order of the calls, however long each takes. */
export type InTurn = <T>(work: Promise<T>) => Promise<T>;

export function createInTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = Promise.allSettled([last, work]).then(() => work);
    last = turn.catch(() => undefined);
    return turn;
  };
}
