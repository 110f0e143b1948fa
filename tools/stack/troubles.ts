import type { PlantReadiness, ProcessState } from "../../console/readiness.ts";

/** What the processes say is not right with them, a sentence each; empty when everything works. */
export function troublesOf(readiness: PlantReadiness): string[] {
  return readiness.processes.filter((state) => !state.ready).flatMap(sentences);
}

function sentences({ name, why, checks }: ProcessState): string[] {
  const failed = Object.entries((checks ?? {}) as Record<string, unknown>).filter(([, holds]) => holds !== true);
  const said = failed.map(
    ([check, holds]) => `${name}, ${check}: ${typeof holds === "string" ? holds : "not in order"}`,
  );
  return said.length > 0 ? said : [`${name}: ${why ?? "it is not ready"}`];
}
