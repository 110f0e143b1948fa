import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const script = fileURLToPath(new URL("../../.ci/count.mjs", import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "rastro-count-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const good = {
  success: true,
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [],
};

function count(report: unknown, testsExit = "0", checkExit = "0") {
  const file = join(folder, "report.json");
  if (report === undefined) rmSync(file, { force: true });
  else writeFileSync(file, typeof report === "string" ? report : JSON.stringify(report));
  const done = spawnSync(process.execPath, [script, file, testsExit, checkExit], { encoding: "utf8" });
  return { last: done.stdout.trimEnd().split("\n").at(-1), exit: done.status };
}

test("counts the tests and the check", () => {
  expect(count(good)).toEqual({ last: "4 passed, 0 failed", exit: 0 });
});

test("names what was skipped", () => {
  expect(count({ ...good, numPendingTests: 1, numTodoTests: 1 })).toEqual({
    last: "4 passed, 0 failed, 2 skipped",
    exit: 0,
  });
});

test.each([
  ["a failed test", { ...good, success: false, numFailedTests: 2 }, "1", "0", "4 passed, 2 failed"],
  ["a failed check", good, "0", "1", "3 passed, 1 failed"],
  ["no report", undefined, "1", "0", "1 passed, 1 failed"],
  ["no report although the exit code says success", undefined, "0", "0", "1 passed, 1 failed"],
  ["half a report", '{"numPassedTests": 3, ', "0", "0", "1 passed, 1 failed"],
  ["a crash after the report", good, "134", "0", "4 passed, 1 failed"],
  ["an error outside of the tests", { ...good, success: false }, "1", "0", "4 passed, 1 failed"],
  ["a run without tests", { ...good, numPassedTests: 0 }, "0", "0", "1 passed, 1 failed"],
  [
    "a file that could not be loaded",
    { ...good, success: false, testResults: [{ name: "a.test.ts", status: "failed", assertionResults: [] }] },
    "1",
    "0",
    "4 passed, 1 failed",
  ],
])("%s is no success", (_what, report, testsExit, checkExit, line) => {
  expect(count(report, testsExit, checkExit)).toEqual({ last: line, exit: 1 });
});
