import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Store } from "../../../lib/storage/store/store.ts";
import type { AppendInput } from "../../../lib/storage/book/book.ts";
import type { FoldableRecord } from "../../../services/production/entry-state.ts";
import { bringViewsUpToDate, rebuildViews } from "../../../services/production/rebuild.ts";
import { VIEWS } from "../../../services/production/view-keys.ts";
import { addition, CALLER, type Desk, openDesk, STORES } from "./desk.ts";
import { histories } from "./histories.ts";
import { machineEvent, uuid } from "./samples.ts";

async function dump(store: Store): Promise<string[]> {
  const rows: string[] = [];
  for await (const [key, value] of store.range(VIEWS)) rows.push(`${key.toString("hex")}=${value.toString("hex")}`);
  return rows;
}

/** Puts a history into the book by the road that every record takes. */
async function book(desk: Desk, history: FoldableRecord[]): Promise<void> {
  await Promise.all(
    history.map((record, index) => {
      const { type, at, obj, payload } = record.event as ReturnType<typeof machineEvent>;
      const event = machineEvent({ id: uuid(1000 + index), type, at, obj, payload });
      const input: AppendInput = {
        recv: record.recv,
        event,
        sig: null,
        via: { kind: "internal", name: null, session: null },
        added: record.added,
      };
      return desk.store.write((tx) => desk.book.append(tx, input, event.id));
    }),
  );
}

describe.each(STORES)("the views, on %s", (_name, open) => {
  it("are the same bytes after a rebuild, whatever happened", async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        const desk = await openDesk(open);
        try {
          await book(desk, history);
          const kept = await dump(desk.store);
          expect(await rebuildViews(desk)).toBe(history.length);
          expect(await dump(desk.store)).toEqual(kept);
        } finally {
          await desk.close();
        }
      }),
      { numRuns: 25 },
    );
  });

  it("need nothing at a start after a clean or an abrupt end", async () => {
    const desk = await openDesk(open);
    await desk["entry-add"](addition(1), CALLER);
    expect(await bringViewsUpToDate(desk)).toBe(0);
    await desk.close();
  });

  it("are made again at the start when a rebuild was cut short or another version made them", async () => {
    const desk = await openDesk(open);
    await desk["entry-add"](addition(1, { good: 3 }), CALLER);
    await desk["entry-add"](addition(2, { good: 4 }), CALLER);
    const kept = await dump(desk.store);
    for (const mark of ['{"version":1,"folded":null}', '{"version":0,"folded":2}', '{"version":1,"folded":9}']) {
      await desk.store.write((tx) => {
        tx.put(Buffer.from("vt"), Buffer.from("{}"));
        tx.put(Buffer.from("s/views"), Buffer.from(mark));
      });
      expect(await bringViewsUpToDate(desk)).toBe(2);
      expect(await dump(desk.store)).toEqual(kept);
    }
    await desk.close();
  });

  it("are made for a book that has none yet", async () => {
    const desk = await openDesk(open);
    expect(await bringViewsUpToDate(desk)).toBe(0);
    expect(await dump(desk.store)).toEqual([]);
    await desk.close();
  });
});
