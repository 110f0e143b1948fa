export type GapFigures = { count: number; hz: number; p50Us: number; p99Us: number; p999Us: number; maxUs: number };

/** Collects instants (ms with decimals) and tells their rate and spacing. */
export function createGaps() {
  const instants: number[] = [];
  return {
    note: (now: number) => void instants.push(now),
    figures: (): GapFigures => figuresOf(instants),
  };
}

function figuresOf(instants: readonly number[]): GapFigures {
  const gaps = Float64Array.from(
    { length: Math.max(0, instants.length - 1) },
    (_, index) => ((instants[index + 1] ?? 0) - (instants[index] ?? 0)) * 1000,
  ).sort();
  const at = (share: number) => Math.round(gaps[Math.max(0, Math.ceil(gaps.length * share) - 1)] ?? 0);
  const span = ((instants.at(-1) ?? 0) - (instants[0] ?? 0)) / 1000;
  return {
    count: instants.length,
    hz: span > 0 ? gaps.length / span : 0,
    p50Us: at(0.5),
    p99Us: at(0.99),
    p999Us: at(0.999),
    maxUs: at(1),
  };
}
