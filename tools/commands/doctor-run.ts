import { fileURLToPath } from "node:url";
import { EXIT, type Outcome } from "../client/outcome.ts";
import { plain } from "../client/print.ts";
import { startSpinner } from "../client/spinner.ts";
import type { Terminal } from "../client/terminal.ts";
import { examine } from "../doctor/examine.ts";
import type { Finding, Status } from "../doctor/finding.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const WORDS: Readonly<Record<Status, string>> = { ok: "ok  ", warn: "warn", fail: "FAIL" };

export async function runDoctor(terminal: Terminal): Promise<Outcome> {
  const spinner = startSpinner(terminal.stderr, "looking");
  try {
    const clock = () => performance.now();
    const checks = await examine({ env: terminal.env, root: ROOT, now: Date.now, clock });
    const failed = checks.some(({ status }) => status === "fail");
    return { data: { ok: !failed, checks }, text: textOf(checks), exit: failed ? EXIT.no : EXIT.done };
  } finally {
    spinner.stop();
  }
}

function textOf(checks: readonly Finding[]): string {
  const width = Math.max(...checks.map(({ check }) => check.length));
  const lines = checks.flatMap(({ check, status, says, todo }) => [
    `${WORDS[status]}  ${check.padEnd(width)}  ${plain(says)}`,
    ...(todo === null ? [] : [`      ${" ".repeat(width)}  -> ${plain(todo)}`]),
  ]);
  return [...lines, "", verdict(checks)].join("\n");
}

function verdict(checks: readonly Finding[]): string {
  const count = (wanted: Status) => checks.filter(({ status }) => status === wanted).length;
  if (count("fail") > 0) return `${count("fail")} of ${checks.length} checks fail.`;
  return count("warn") > 0 ? `Nothing fails; ${count("warn")} of ${checks.length} checks warn.` : "All is well.";
}
