import { expect, it } from "vitest";
import { createInTurn } from "../../../services/production/in-turn.ts";

it("settles in the order of the calls, whichever is done first", async () => {
  const inTurn = createInTurn();
  const works = Array.from({ length: 4 }, () => Promise.withResolvers<number>());
  const seen: (number | string)[] = [];
  const turns = works.map(({ promise }) =>
    inTurn(promise).then(
      (value) => seen.push(value),
      (error: Error) => seen.push(error.message),
    ),
  );
  works[3]?.resolve(3);
  works[1]?.reject(new Error("no signature"));
  works[2]?.resolve(2);
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual([]);
  works[0]?.resolve(0);
  await Promise.all(turns);
  expect(seen).toEqual([0, "no signature", 2, 3]);
});
