/** Runs each task once, after the input of this turn of the event loop is read, all of them in one go. */
export type PerTick = (task: () => void) => void;

/**
 * What arrives in one turn of the event loop is collected by then, so that a reader costs one write a turn and not one
 * a message, and a publisher that floods cannot starve the readers: every turn ends with the writing.
 */
export function createPerTick(): PerTick {
  let tasks: (() => void)[] = [];
  const run = () => {
    const due = tasks;
    tasks = [];
    for (const task of due) task();
  };
  return (task) => {
    if (tasks.push(task) === 1) setImmediate(run);
  };
}
