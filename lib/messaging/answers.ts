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
  /** Length of the response; 0 while it is not known. */
  bytes: number;
};

export type Answers = {
  find(key: string): Answer | undefined;
  add(key: string, answer: Answer): void;
  /** To be called when the length of an answer's response is known. */
  weigh(key: string, answer: Answer, bytes: number): void;
  /** Lets an answer go that costs less to work out again than to keep. */
  remove(key: string, answer: Answer): void;
  unsent(): Answer[];
  readonly size: number;
};

/**
 * Answers kept for duplicates, within a count and a size: the oldest go first. What goes early costs no correctness,
 * since changes carry ids of their own; a duplicate is then answered anew.
 */
export function createAnswers(o: { now: () => number; maximumCount: number; maximumBytes: number }): Answers {
  const kept = new Map<string, Answer>();
  let bytes = 0;

  function dropOld(): void {
    for (const [key, answer] of kept) {
      const fits = kept.size <= o.maximumCount && bytes <= o.maximumBytes;
      if (fits && answer.keepUntil >= o.now()) break;
      kept.delete(key);
      bytes -= answer.bytes;
    }
  }

  return {
    find(key) {
      const answer = kept.get(key);
      return answer && answer.keepUntil >= o.now() ? answer : undefined;
    },
    add(key, answer) {
      bytes -= kept.get(key)?.bytes ?? 0;
      kept.delete(key);
      kept.set(key, answer);
      dropOld();
    },
    weigh(key, answer, length) {
      if (answer.bytes > 0 || kept.get(key) !== answer) return;
      answer.bytes = length;
      bytes += length;
      dropOld();
    },
    remove(key, answer) {
      if (kept.get(key) !== answer) return;
      kept.delete(key);
      bytes -= answer.bytes;
    },
    unsent: () => [...kept.values()].filter((answer) => !answer.sent && answer.keepUntil >= o.now()),
    get size() {
      return kept.size;
    },
  };
}
