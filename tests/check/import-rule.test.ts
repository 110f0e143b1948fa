import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);
let tree: string;

/** Lints one file in a copy of the tree's shape that holds nothing else, with the project's own configuration. */
async function lint(file: string, imported: string): Promise<string> {
  await mkdir(dirname(join(tree, file)), { recursive: true });
  await writeFile(join(tree, file), `import { thing } from "${imported}";\n\nexport const used = thing;\n`);
  const result = await run(join(root, "node_modules/.bin/oxlint"), [file], { cwd: tree }).catch(
    (failed: { stdout: string }) => failed,
  );
  return result.stdout;
}

beforeAll(async () => {
  tree = await mkdtemp(join(tmpdir(), "rastro-import-rule-"));
  await cp(join(root, ".oxlintrc.json"), join(tree, ".oxlintrc.json"));
  await symlink(join(root, "node_modules"), join(tree, "node_modules"));
});
afterAll(() => rm(tree, { recursive: true, force: true }));

describe("the import rule of docs/architecture.md", () => {
  it.each([
    ["lib/contracts/topics.ts", "node:fs"],
    ["lib/contracts/topics.ts", "../ledger/tree.ts"],
    ["lib/ledger/tree.ts", "../contracts/topics.ts"],
    ["lib/storage/book.ts", "../messaging/link.ts"],
    ["lib/messaging/link.ts", "../runtime/log.ts"],
    ["lib/runtime/log.ts", "../../broker/hub.ts"],
    ["lib/storage/book.ts", "../witness/witness.ts"],
    ["lib/witness/witness.ts", "../../edge-agent/every.ts"],
    ["broker/hub.ts", "../services/audit/append.ts"],
    ["broker/directory/people.ts", "../../edge-agent/outbox.ts"],
    ["services/production/record.ts", "../audit/append.ts"],
    ["console/server.ts", "../tools/cli.ts"],
    ["tools/cli.ts", "../tests/support/hub.ts"],
    ["tools/verify/main.ts", "../../lib/contracts/book.ts"],
    ["tools/verify/main.ts", "../../lib/storage/book/book.ts"],
    ["tools/verify/main.ts", "../client/hub.ts"],
    ["tools/verify/main.ts", "mqtt"],
  ])("%s may not import %s", async (file, imported) => {
    expect(await lint(file, imported)).toContain("no-restricted-imports");
  });

  it.each([
    ["lib/storage/book.ts", "../ledger/tree.ts"],
    ["lib/messaging/link.ts", "../contracts/topics.ts"],
    ["broker/directory/people.ts", "../../lib/storage/store/store.ts"],
    ["lib/witness/witness.ts", "../runtime/new-file.ts"],
    ["services/production/record.ts", "../../lib/ledger/record.ts"],
    ["tools/stack.ts", "../broker/directory/first-run.ts"],
    ["tools/verify/main.ts", "../../lib/ledger/tree.ts"],
    ["tools/verify/main.ts", "./trust.ts"],
    ["tools/verify/main.ts", "node:fs/promises"],
    ["tools/verify/main.ts", "commander"],
    ["tests/end-to-end/a.ts", "../../tools/stack.ts"],
  ])("%s may import %s", async (file, imported) => {
    expect(await lint(file, imported)).not.toContain("no-restricted-imports");
  });
});
