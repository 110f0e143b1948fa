/**
 * The JSON of a value that `JSON.parse` gave. Where `JSON.stringify` runs out of stack, which some thousand levels of
 * nesting make it do, it is written without recursion: `JSON.parse` reads any depth, and what came must be kept.
 */
export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (thrown) {
    if (thrown instanceof RangeError) return flatly(value);
    throw thrown;
  }
}

/** What is still to be written: text as it is, or a value. */
type Step = { text: string } | { value: unknown };

function flatly(value: unknown): string {
  const written: string[] = [];
  const steps: Step[] = [{ value }];
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    if ("text" in step) written.push(step.text);
    else if (typeof step.value !== "object" || step.value === null) written.push(JSON.stringify(step.value));
    // The last step is done first.
    else for (const inner of stepsOf(step.value).toReversed()) steps.push(inner);
  }
  return written.join("");
}

function stepsOf(object: object): Step[] {
  if (Array.isArray(object)) return [{ text: "[" }, ...between(object.map((value) => [{ value }])), { text: "]" }];
  const members = Object.entries(object).map(([key, value]) => [{ text: `${JSON.stringify(key)}:` }, { value }]);
  return [{ text: "{" }, ...between(members), { text: "}" }];
}

function between(parts: Step[][]): Step[] {
  return parts.flatMap((part, index) => (index === 0 ? part : [{ text: "," }, ...part]));
}
