import { BookName } from "../../lib/contracts/names.ts";
import type { Outcome } from "../client/outcome.ts";
import { withHub } from "../client/session.ts";
import type { Terminal } from "../client/terminal.ts";
import { writeNewFile } from "../export/new-file.ts";

export type KeysOptions = { out?: string };

export async function runKeys(terminal: Terminal, options: KeysOptions): Promise<Outcome> {
  const data = await withHub(terminal.env, async (hub) => {
    const logs: string[] = [];
    const rotations: string[] = [];
    for (const book of BookName.options) {
      const answer = await hub.call(book, "book-keys", {});
      logs.push(...answer.keys);
      rotations.push(...answer.rotations);
    }
    const { keys: origins } = await hub.call("audit", "audit-keys", {});
    return { logs, origins, rotations };
  });
  const lines = ["# the plant's books", ...data.logs, "# its machines and services", ...data.origins];
  const notes =
    data.rotations.length === 0 ? [] : ["# how keys of the books handed over to new ones", ...data.rotations];
  const text = [...lines, ...notes].join("\n").trimEnd();
  if (options.out === undefined) return { data, text };
  await writeNewFile(options.out, (sink) => sink.write(`${text}\n`));
  return { data: { ...data, file: options.out }, text: `${lines.length - 2} keys written to ${options.out}.` };
}
