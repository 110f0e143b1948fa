/** Takes work that has begun; what it returns settles in the order of the calls, however long each takes. */
export type InTurn = <T>(work: Promise<T>) => Promise<T>;

export function createInTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(() => work);
    // What fails before its turn is told of in its turn.
    work.catch(() => undefined);
    last = turn.catch(() => undefined);
    return turn;
  };
}
