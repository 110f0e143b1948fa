// Prints "N passed, N failed" of one run: the tests by vitest's JSON report, and `npm run check` as one more.
// A run that ended badly without a failed test in its report (a crash, an error outside of a test, no report at all)
// counts as a failure. Exit code 1 when anything failed. Runs on whatever Node the machine has.
//
//   node .ci/count.mjs <report.json> <exit code of the tests> <exit code of the check>
import { readFileSync } from "node:fs";

const [file = "", testsExit, checkExit] = process.argv.slice(2);
const report = readReport(file);
const results = report.testResults ?? [];
const brokenFiles = results.filter(isBroken);
for (const suite of brokenFiles) console.log(`failed outside of a test: ${suite.name}`);

let passed = report.numPassedTests ?? 0;
let failed = (report.numFailedTests ?? 0) + brokenFiles.length;
if (failed === 0 && (testsExit !== "0" || report.success !== true || passed === 0)) {
  failed += 1;
  console.log(`the tests ended with exit code ${testsExit} and without a full report of success`);
}
if (checkExit === "0") {
  passed += 1;
} else {
  failed += 1;
  console.log(`npm run check ended with exit code ${checkExit}`);
}
const skipped = (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed === 0 ? 0 : 1;

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")) ?? {};
  } catch (error) {
    console.log(`the tests left no report that can be read (${error.code ?? error.message})`);
    return {};
  }
}

/** A file that failed though none of its tests did: it could not be loaded, or a hook failed. */
function isBroken(suite) {
  return suite.status === "failed" && !suite.assertionResults.some((test) => test.status === "failed");
}
