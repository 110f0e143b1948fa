import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const SOURCES = ["lib", "broker", "edge-agent", "services", "console", "tools"];
/** Of those who build it, told where they are used. */
const FOR_DEVELOPERS = /^RASTRO_(?:CRASH|FUZZ|LOADGEN)/;

const operations = readFileSync(join(ROOT, "docs/operations.md"), "utf8");
const settings = operations.slice(operations.indexOf("## Settings"), operations.indexOf("## Health"));

it("every setting that the code reads stands in docs/operations.md, and no other", () => {
  const files = SOURCES.flatMap((folder) => globSync(`${folder}/**/*.{ts,mjs}`, { cwd: ROOT }));
  const text = files.map((file) => readFileSync(join(ROOT, file), "utf8")).join("\n");
  const names = (from: string) => [...new Set(from.match(/RASTRO_[A-Z_]*[A-Z]/g))].toSorted();
  expect(names(settings)).toEqual(names(text).filter((name) => !FOR_DEVELOPERS.test(name)));
});
