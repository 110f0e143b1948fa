import { z } from "zod";

/**
 * How many witnesses have to cosign a checkpoint. `majority` more than half of those that count, `faulty` more than
 * (n + f) / 2 of n where f may be corrupt, `count` a number, `none` no cosignature at all.
 */
export type QuorumRule =
  | { kind: "majority" | "none" }
  | { kind: "faulty"; f: number }
  | { kind: "count"; count: number };

const EXPECTED = "majority, none, a number of witnesses from 1 to 32, or f=<how many may be corrupt>";

/** A quorum as an administrator writes it: `majority`, `none`, `2`, `f=1`. */
export const QuorumText = z
  .string()
  .regex(/^(?:majority|none|[1-9]\d?|f=\d{1,2})$/, EXPECTED)
  .transform(parseRule)
  .refine((rule) => (rule.kind === "count" ? rule.count : rule.kind === "faulty" ? rule.f : 0) <= 32, EXPECTED);

function parseRule(text: string): QuorumRule {
  if (text === "majority" || text === "none") return { kind: text };
  return text.startsWith("f=") ? { kind: "faulty", f: Number(text.slice(2)) } : { kind: "count", count: Number(text) };
}

/**
 * How many of `n` witnesses make up a quorum; 0 where none is asked for. Of n = 0 only a fixed number is asked for:
 * where nobody could cosign, a part of nobody is no demand.
 */
export function thresholdOf(rule: QuorumRule, n: number): number {
  if (rule.kind === "count") return rule.count;
  if (rule.kind === "none" || n === 0) return 0;
  // Two sets of so many overlap in at least one witness that is honest.
  return Math.floor((n + (rule.kind === "faulty" ? rule.f : 0)) / 2) + 1;
}
