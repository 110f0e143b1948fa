import { RastroError } from "../../lib/contracts/errors.ts";
import { EXIT, type Outcome } from "../client/outcome.ts";
import type { Terminal } from "../client/terminal.ts";
import { declareVerify, type VerifyOptions, verifyWith } from "../verify/program.ts";
import { reportText } from "../verify/report-text.ts";
import { UsageFault } from "../verify/trust.ts";
import type { Groups } from "./groups.ts";

/** `verify`: the verifier of `tools/verify`, which also runs alone as `rastro-verify`. */
export function addVerifyCommand({ program, act, terminal }: Groups): void {
  const verify = declareVerify(program.command("verify"));
  act(verify, (file: string, options: VerifyOptions) => runVerify(terminal, file, options));
}

async function runVerify(terminal: Terminal, file: string, options: VerifyOptions): Promise<Outcome> {
  try {
    const report = await verifyWith(file, options, terminal.stderr);
    return { data: report, text: reportText(file, report), exit: report.ok ? EXIT.done : EXIT.no };
  } catch (thrown) {
    if (thrown instanceof UsageFault) throw new RastroError({ code: "schema", message: thrown.message });
    throw thrown;
  }
}
