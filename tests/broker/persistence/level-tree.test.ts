import * as fc from "fast-check";
import { expect, it } from "vitest";
import { createLevelTree } from "../../../broker/persistence/level-tree.ts";
import { topicMatches } from "../../../lib/contracts/topics.ts";

const level = fc.constantFrom("a", "b", "", "$s");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { minLength: 0, maxLength: 3 }), fc.boolean())
  .map(([levels, hash]) => [...levels, ...(hash || levels.length === 0 ? ["#"] : [])].join("/"));

const change = fc.record({ add: fc.boolean(), at: fc.nat({ max: 9 }) });

it("finds by filter what a walk over all topics finds, after any sequence of changes", () => {
  fc.assert(
    fc.property(
      fc.array(topic, { minLength: 1, maxLength: 10 }),
      fc.array(change),
      filter,
      (topics, changes, asked) => {
        const { tree, kept } = changed(topics, changes);
        expect(tree.size).toBe(kept.size);
        expect(tree.under(asked).sort()).toEqual([...kept].filter((one) => topicMatches(asked, one)).sort());
      },
    ),
    { numRuns: 2000 },
  );
});

it("finds by topic the filters that match it, after any sequence of changes", () => {
  fc.assert(
    fc.property(
      fc.array(filter, { minLength: 1, maxLength: 10 }),
      fc.array(change),
      topic,
      (filters, changes, asked) => {
        const { tree, kept } = changed(filters, changes);
        expect(tree.matching(asked).sort()).toEqual([...kept].filter((one) => topicMatches(one, asked)).sort());
      },
    ),
    { numRuns: 2000 },
  );
});

function changed(paths: string[], changes: { add: boolean; at: number }[]) {
  const tree = createLevelTree<string>();
  const kept = new Set<string>();
  for (const { add, at } of changes) {
    const path = paths[at % paths.length] ?? "";
    if (add) {
      tree.set(path, path);
      kept.add(path);
    } else {
      tree.delete(path);
      kept.delete(path);
    }
  }
  for (const path of paths) expect(tree.get(path)).toBe(kept.has(path) ? path : undefined);
  return { tree, kept };
}
