import type { Groups } from "./groups.ts";

/** `doctor`. */
export function addDoctorCommand({ program, act, terminal }: Groups): void {
  const doctor = program
    .command("doctor")
    .description(
      "look at ports, data folder, clock, versions and broker; says what to do; exit code 1 when something fails",
    )
    .addHelpText(
      "after",
      `\nExamples:
  rastro doctor                     before the first start, or when something does not work
  rastro doctor --json | jq '.checks[] | select(.status != "ok")'

It changes nothing. What needs a running hub is asked when one runs, as whoever is signed in.`,
    );
  act(doctor, async () => (await import("./doctor-run.ts")).runDoctor(terminal));
}
