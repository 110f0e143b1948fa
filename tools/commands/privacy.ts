import type { Groups } from "./groups.ts";
import type { EraseOptions, ShowOptions } from "./privacy-run.ts";

/** `privacy show`, `privacy erase`. */
export function addPrivacyCommands({ program, act, terminal }: Groups): void {
  const privacy = program
    .command("privacy")
    .description("what is kept of a person, and erasing it (LGPD art. 16 and 18; docs/privacy.md)");

  const show = privacy
    .command("show")
    .argument("[person]", "login or random id (p-…); yourself when left out")
    .description("show everything that is kept of a person: your own, as administrator anybody's")
    .addHelpText("after", "\nExample:\n  rastro privacy show maria");
  act(show, async (person: string | undefined, options: ShowOptions) =>
    (await import("./privacy-run.ts")).runShow(terminal, person, options),
  );

  const erase = privacy
    .command("erase")
    .argument("<person>", "login or random id (p-…)")
    .description("destroy a person's key and forget the name, for good: nobody can take it back; administrators only")
    .requiredOption("--ground <code>", "on what ground; a wrong one lists them all")
    .requiredOption("--reason <text>", "why, in your words; sealed under your own key")
    .option("--yes", "do not ask to type the name")
    .addHelpText(
      "after",
      '\nEvery record stays, and every hash still verifies; the record shows "erased person".\n\nExample:\n  rastro privacy erase maria --ground SUBJECT_REQUEST --reason "letter of 3 November"',
    );
  act(erase, async (person: string, options: EraseOptions) =>
    (await import("./privacy-run.ts")).runErase(terminal, person, options),
  );
}
