import { BookName } from "../../lib/contracts/names.ts";
import type { Outcome } from "../client/outcome.ts";
import { withHub } from "../client/session.ts";
import type { Terminal } from "../client/terminal.ts";
import { writeNewFile } from "../export/new-file.ts";

export type KeysOptions = { out?: string };

export async function runKeys(terminal: Terminal, options: KeysOptions): Promise<Outcome> {
  const data = await withHub(terminal.env, async (hub) => {
    const logs: string[] = [];
    for (const book of BookName.options) logs.push(...(await hub.call(book, "book-keys", {})).keys);
    const { keys: origins } = await hub.call("audit", "audit-keys", {});
    return { logs, origins };
  });
  const lines = ["# the plant's books", ...data.logs, "# its machines and services", ...data.origins];
  const text = lines.join("\n");
  if (options.out === undefined) return { data, text };
  await writeNewFile(options.out, (sink) => sink.write(`${text}\n`));
  return { data: { ...data, file: options.out }, text: `${lines.length - 2} keys written to ${options.out}.` };
}
