import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** One thing that an operator has to know of while it lasts. */
export type AlarmRule = {
  /** Last level of its topic and label of its figure: `disk-space`. */
  name: string;
  /** What is wrong now, in one sentence that says what to do; null when nothing is. May be asked at any time. */
  look: () => string | null | Promise<string | null>;
  /** It has to be wrong for so long before the alarm is raised, ms. */
  raiseAfterMs: number;
  /** … and right for so long before it is cleared. */
  clearAfterMs: number;
};

/** What is said of an alarm that is raised: retained on its topic until it is cleared by an empty message. */
export type AlarmState = { v: 1; alarm: string; since: string; message: string };

export interface Alarms {
  raised(): AlarmState[];
  stop(): void;
}

type Known = { wrongSince: number | null; rightSince: number | null; raised: AlarmState | null };

/**
 * Watches rules, with hysteresis on both sides. Each alarm that is raised or cleared is one line in the log, a retained
 * message by `tell` (null clears it), and the figure `rastro_alarm`.
 *
 * @param o.everyMs - how often all rules are looked at.
 */
export function watchAlarms(o: {
  rules: readonly AlarmRule[];
  tell: (name: string, state: AlarmState | null) => void;
  metrics: Metrics;
  log: Logger;
  now: () => number;
  everyMs: number;
}): Alarms {
  const known = new Map(o.rules.map(({ name }) => [name, newlyKnown()]));
  let looking = false;

  async function look(): Promise<void> {
    if (looking) return;
    looking = true;
    for (const rule of o.rules) judge(rule, known.get(rule.name) ?? newlyKnown(), await sentenceOf(rule));
    looking = false;
  }

  function judge(rule: AlarmRule, state: Known, wrong: string | null): void {
    const now = o.now();
    state.wrongSince = wrong === null ? null : (state.wrongSince ?? now);
    state.rightSince = wrong === null ? (state.rightSince ?? now) : null;
    if (wrong !== null && state.wrongSince !== null && now - state.wrongSince >= rule.raiseAfterMs) {
      raise(rule.name, state, wrong);
    }
    if (state.raised !== null && state.rightSince !== null && now - state.rightSince >= rule.clearAfterMs) {
      state.raised = null;
      o.log.info({ alarm: rule.name }, "an alarm is cleared");
      o.tell(rule.name, null);
    }
  }

  /** A sentence with other figures is told again, under the time at which it was raised. */
  function raise(alarm: string, state: Known, message: string): void {
    if (state.raised?.message === message) return;
    const since = state.raised?.since ?? new Date(o.now()).toISOString();
    if (state.raised === null) o.log.warn({ alarm }, message);
    state.raised = { v: 1, alarm, since, message };
    o.tell(alarm, state.raised);
  }

  o.metrics.add({
    name: "rastro_alarm",
    help: "1 while an alarm of this process is raised.",
    kind: "gauge",
    labels: ["alarm"],
    read: () => [...known].map(([alarm, { raised }]) => ({ labels: { alarm }, value: raised === null ? 0 : 1 })),
  });
  // What an earlier start of the process left on the topics is none of this one's.
  for (const { name } of o.rules) o.tell(name, null);
  void look();
  const timer = setInterval(() => void look(), o.everyMs);
  return {
    raised: () => [...known.values()].flatMap(({ raised }) => (raised === null ? [] : [raised])),
    stop: () => clearInterval(timer),
  };
}

async function sentenceOf(rule: AlarmRule): Promise<string | null> {
  try {
    return await rule.look();
  } catch (error) {
    return `looking after ${rule.name} failed: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function newlyKnown(): Known {
  return { wrongSince: null, rightSince: null, raised: null };
}
