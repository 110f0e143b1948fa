/** The end of a turn of the event loop, after its input was read. Each task runs once. */
export interface Turn {
  /** Runs before everything that writes: for what still adds to what is to be written. */
  collect(task: () => void): void;
  write(task: () => void): void;
  /** Holds this thread for so many ms once everything of the turn is written, so that the next one finds more to read. */
  rest(ms: number): void;
}

/**
 * What arrives in one turn of the event loop is collected by then, so that a reader costs one write a turn and not one
 * a message, and a publisher that floods cannot starve the readers: every turn ends with the writing.
 */
export function createTurn(): Turn {
  let collecting: (() => void)[] = [];
  let writing: (() => void)[] = [];
  let planned = false;
  let restMs = 0;
  // Nobody ever wakes it up: a wait on it is the only sleep shorter than a timer's millisecond.
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  const run = () => {
    planned = false;
    const collect = collecting;
    collecting = [];
    for (const task of collect) task();
    const write = writing;
    writing = [];
    for (const task of write) task();
    if (restMs === 0) return;
    Atomics.wait(nothing, 0, 0, restMs);
    restMs = 0;
  };
  const plan = () => {
    if (planned) return;
    planned = true;
    setImmediate(run);
  };
  return {
    collect(task) {
      collecting.push(task);
      plan();
    },
    write(task) {
      writing.push(task);
      plan();
    },
    rest(ms) {
      restMs = ms;
    },
  };
}
