/** The end of a turn of the event loop, after its input was read. Each task runs once. */
export interface Turn {
  /** Runs before everything that writes: for what still adds to what is to be written. */
  collect(task: () => void): void;
  write(task: () => void): void;
}

/**
 * What arrives in one turn of the event loop is collected by then, so that a reader costs one write a turn and not one
 * a message, and a publisher that floods cannot starve the readers: every turn ends with the writing.
 */
export function createTurn(): Turn {
  let collecting: (() => void)[] = [];
  let writing: (() => void)[] = [];
  let planned = false;
  const run = () => {
    planned = false;
    const collect = collecting;
    collecting = [];
    for (const task of collect) task();
    const write = writing;
    writing = [];
    for (const task of write) task();
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
  };
}
