import { constants } from "node:os";
import { expect, test } from "vitest";
import { goFirst } from "../../edge-agent/priority.ts";

test("asks for its own process, above the ordinary", () => {
  const asked: number[][] = [];
  expect(goFirst((pid, priority) => void asked.push([pid, priority]))).toBe(true);
  expect(asked).toEqual([[process.pid, constants.priority.PRIORITY_ABOVE_NORMAL]]);
});

test("does without where the right is missing", () => {
  const refuse = () => {
    throw new Error("EACCES");
  };
  expect(goFirst(refuse)).toBe(false);
});
