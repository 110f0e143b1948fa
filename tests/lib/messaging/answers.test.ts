import { describe, expect, it } from "vitest";
import { type Answer, createAnswers } from "../../../lib/messaging/answers.ts";

const answer = (keepUntil = 100, sent = true): Answer => ({
  digest: "d",
  keepUntil,
  response: Promise.resolve(""),
  topic: "t",
  sent,
  bytes: 0,
});

describe("answers kept for duplicates", () => {
  it("are found until their time is over", () => {
    let now = 0;
    const answers = createAnswers({ now: () => now, maximumCount: 10, maximumBytes: 10 });
    const first = answer();
    answers.add("a", first);
    expect(answers.find("a")).toBe(first);
    now = 101;
    expect(answers.find("a")).toBeUndefined();
    answers.add("b", answer(200));
    expect(answers.size).toBe(1);
  });

  it("stay within their count and their bytes, the oldest going first", () => {
    const answers = createAnswers({ now: () => 0, maximumCount: 3, maximumBytes: 100 });
    const all = ["a", "b", "c", "d"].map((key) => [key, answer()] as const);
    for (const [key, value] of all) answers.add(key, value);
    expect(all.map(([key]) => answers.find(key) !== undefined)).toEqual([false, true, true, true]);
    for (const [key, value] of all) answers.weigh(key, value, 60);
    expect(all.map(([key]) => answers.find(key) !== undefined)).toEqual([false, false, false, true]);
  });

  it("are let go when they are not worth keeping", () => {
    const answers = createAnswers({ now: () => 0, maximumCount: 3, maximumBytes: 100 });
    const [first, second] = [answer(), answer()];
    answers.add("a", first);
    answers.weigh("a", first, 90);
    answers.remove("a", second);
    expect(answers.find("a")).toBe(first);
    answers.remove("a", first);
    expect(answers.size).toBe(0);
    answers.add("b", second);
    answers.weigh("b", second, 90);
    expect(answers.find("b")).toBe(second);
  });

  it("tell which have not been sent", () => {
    const answers = createAnswers({ now: () => 0, maximumCount: 3, maximumBytes: 100 });
    const waiting = answer(100, false);
    answers.add("a", answer());
    answers.add("b", waiting);
    expect(answers.unsent()).toEqual([waiting]);
  });
});
