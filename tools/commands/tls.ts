import type { Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import type { Groups } from "./groups.ts";

export type IssueOptions = { days: string; out: string };
export type InitOptions = Record<string, never>;

/** `tls init`, `tls show`, `tls issue`. */
export function addTlsCommands({ program, act, terminal }: Groups): void {
  const tls = program.command("tls").description("the plant's certificate authority and what it has issued");

  const init = tls
    .command("init")
    .description("make the authority and the hub's certificate where they are missing; on the hub's own machine")
    .addHelpText("after", "\nThe first start of the hub does the same.\n\nExample:\n  rastro tls init");
  act(init, (_options: InitOptions) => work().then(({ runInit }) => runInit(terminal)));

  const show = tls
    .command("show")
    .description(
      "show the authority's fingerprint, the hub's names, and until when both hold; on the hub's own machine",
    )
    .addHelpText("after", "\nExample:\n  rastro tls show");
  act(show, (_options: InitOptions) => work().then(({ runShow }) => runShow(terminal)));

  const issue = tls
    .command("issue")
    .argument("<name>", "a registered person or machine: the certificate signs in as this name, without a password")
    .description("issue a client certificate; the key is made here and never leaves")
    .option("--days <count>", "how long it holds, 1 to 825", "365")
    .option("-o, --out <folder>", "where <name>.key, <name>.crt and ca.crt are written", ".")
    .addHelpText("after", "\nExample:\n  rastro tls issue scada-1 -o /etc/scada/tls");
  act(issue, (name: string, options: IssueOptions): Promise<Outcome> =>
    work().then(({ runIssue }) => runIssue(terminal, name, options)),
  );
}

function work(): Promise<{
  runInit: (terminal: Terminal) => Promise<Outcome>;
  runShow: (terminal: Terminal) => Promise<Outcome>;
  runIssue: (terminal: Terminal, name: string, options: IssueOptions) => Promise<Outcome>;
}> {
  return import("./tls-run.ts");
}
