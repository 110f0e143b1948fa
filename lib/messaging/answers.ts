/** The answer to one request: the promise that all duplicates share. */
export type Answer = {
  /** SHA-256 of topic and payload: a duplicate has the same. */
  digest: string;
  /** Until then, ms since 1970, a duplicate gets this answer. */
  keepUntil: number;
  response: Promise<string>;
  topic: string;
  /** False until the broker has acknowledged it. */
  sent: boolean;
};

export type Answers = {
  find(key: string): Answer | undefined;
  add(key: string, answer: Answer): void;
  unsent(): Answer[];
  readonly size: number;
};

/**
 * Answers kept for duplicates, at most `maximum` of them: the oldest go first. What goes early costs no correctness,
 * since changes carry ids of their own; a duplicate is then answered anew.
 */
export function createAnswers(o: { now: () => number; maximum: number }): Answers {
  const kept = new Map<string, Answer>();

  function dropOld(): void {
    for (const [key, answer] of kept) {
      if (kept.size < o.maximum && answer.keepUntil >= o.now()) break;
      kept.delete(key);
    }
  }

  return {
    find(key) {
      const answer = kept.get(key);
      return answer && answer.keepUntil >= o.now() ? answer : undefined;
    },
    add(key, answer) {
      dropOld();
      kept.delete(key);
      kept.set(key, answer);
    },
    unsent: () => [...kept.values()].filter((answer) => !answer.sent && answer.keepUntil >= o.now()),
    get size() {
      return kept.size;
    },
  };
}
