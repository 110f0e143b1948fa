import type { WitnessingSettings } from "../../services/audit/witnesses/witnessing.ts";

/** How a test's audit service has the books of a plant witnessed: by whom offers itself, on whatever computer. */
export function witnessingOf(o: Partial<WitnessingSettings> = {}): WitnessingSettings {
  return {
    rule: { kind: "majority" },
    automatic: true,
    hubHost: "0".repeat(64),
    quorumMs: 60_000,
    answerMs: 2000,
    policyFile: null,
    ...o,
  };
}
