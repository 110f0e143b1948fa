import { type PlantReadiness, REQUIRED_PROCESSES } from "../../console/readiness.ts";
import { troublesOf } from "../stack/troubles.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

/** Says of the processes of the data folder which run and whether they are well. */
export function checkProcesses(readiness: PlantReadiness, runs: ReadonlySet<string>): Finding[] {
  if (runs.size === 0) return [warn("stack", "Rastro does not run with this data folder", "start it: npm start")];
  return readiness.processes.map((state) => {
    if (state.ready) return ok("stack", `${state.name} is ready`);
    const says = troublesOf({ ready: false, processes: [state] }).join("; ");
    const required = (REQUIRED_PROCESSES as readonly string[]).includes(state.name);
    const todo = "look into the output of npm start; it starts again what has ended";
    return required ? fail("stack", says, todo) : warn("stack", says, todo);
  });
}
