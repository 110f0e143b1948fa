type Branch<V> = { value: V | undefined; branches: Map<string, Branch<V>> };

/** Values under topics or filters, found without looking at those that cannot match. */
export interface LevelTree<V> {
  readonly size: number;
  get(path: string): V | undefined;
  set(path: string, value: V): void;
  delete(path: string): void;
  /** The values whose filters match a topic (MQTT 3.1.1 §4.7), `#` before `+` before the level itself. */
  matching(topic: string): V[];
  /** The values whose topics lie under a filter. */
  under(filter: string): V[];
}

/** Paths are either all topics (asked by `under`) or all filters (asked by `matching`). */
export function createLevelTree<V>(): LevelTree<V> {
  const root: Branch<V> = { value: undefined, branches: new Map() };
  let size = 0;

  function find(path: string): Branch<V> | undefined {
    let branch: Branch<V> | undefined = root;
    for (const level of path.split("/")) branch = branch?.branches.get(level);
    return branch;
  }

  return {
    get size() {
      return size;
    },
    get: (path) => find(path)?.value,
    set(path, value) {
      let branch = root;
      for (const level of path.split("/")) branch = grow(branch, level);
      if (branch.value === undefined) size += 1;
      branch.value = value;
    },
    delete(path) {
      const levels = path.split("/");
      const way: Branch<V>[] = [root];
      for (const level of levels) {
        const next = way.at(-1)?.branches.get(level);
        if (next === undefined) return;
        way.push(next);
      }
      const last = way.at(-1);
      if (last?.value === undefined) return;
      last.value = undefined;
      size -= 1;
      prune(way, levels);
    },
    matching(topic) {
      const found: V[] = [];
      if (size > 0) collectMatching(root, topic.split("/"), 0, found);
      return found;
    },
    under(filter) {
      const found: V[] = [];
      collectUnder(root, filter.split("/"), 0, found, true);
      return found;
    },
  };
}

function grow<V>(branch: Branch<V>, level: string): Branch<V> {
  const known = branch.branches.get(level);
  if (known !== undefined) return known;
  const made: Branch<V> = { value: undefined, branches: new Map() };
  branch.branches.set(level, made);
  return made;
}

/** Takes the branches off that lead to nothing any more. */
function prune<V>(way: Branch<V>[], levels: string[]): void {
  for (let depth = levels.length; depth > 0; depth -= 1) {
    const branch = way[depth];
    if (branch === undefined || branch.value !== undefined || branch.branches.size > 0) return;
    way[depth - 1]?.branches.delete(levels[depth - 1] ?? "");
  }
}

function collectMatching<V>(branch: Branch<V>, levels: string[], depth: number, found: V[]): void {
  const level = levels[depth];
  // [MQTT-4.7.2-1]: a wildcard does not match a first level that begins with "$".
  const wild = depth > 0 || level?.startsWith("$") !== true;
  // "#" matches its parent level too, so also where the topic ends.
  if (wild) addValue(branch.branches.get("#"), found);
  if (level === undefined) return addValue(branch, found);
  const any = branch.branches.get("+");
  if (wild && any !== undefined) collectMatching(any, levels, depth + 1, found);
  const same = branch.branches.get(level);
  if (same !== undefined) collectMatching(same, levels, depth + 1, found);
}

function collectUnder<V>(branch: Branch<V>, levels: string[], depth: number, found: V[], isRoot = false): void {
  const level = levels[depth];
  if (level === undefined) return addValue(branch, found);
  if (level !== "#" && level !== "+") {
    const same = branch.branches.get(level);
    if (same !== undefined) collectUnder(same, levels, depth + 1, found);
    return;
  }
  if (level === "#") addValue(branch, found);
  for (const [name, next] of branch.branches) {
    if (isRoot && name.startsWith("$")) continue;
    collectUnder(next, levels, level === "#" ? depth : depth + 1, found);
  }
}

function addValue<V>(branch: Branch<V> | undefined, found: V[]): void {
  if (branch?.value !== undefined) found.push(branch.value);
}
