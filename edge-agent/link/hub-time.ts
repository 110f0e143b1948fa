/** What the directory answers to the question for the time. */
export type AskTime = () => Promise<{ now: string; plant: string }>;

export type HubTimeOptions = {
  ask: AskTime;
  /** Own wall clock, ms. */
  now: () => number;
  /** Monotonic, ms. */
  clock: () => number;
  /** Told when the hub could not be asked. */
  onFailure: (error: unknown) => void;
};

export interface HubTime {
  /** The hub's time in ms, or the own clock's when the hub does not answer. */
  ask(): Promise<number>;
  /** Hub's clock less the own, ms, when it was last asked; null until it has answered once. */
  offsetMs(): number | null;
}

/**
 * Asks the hub for the time before a token is made: an empty clock battery must not lock a machine out. The answer
 * counts for the middle of the time that the question took.
 */
export function createHubTime({ ask, now, clock, onFailure }: HubTimeOptions): HubTime {
  let offset: number | null = null;
  return {
    ask: async () => {
      const asked = clock();
      try {
        const said = (await ask()).now;
        const atHub = Date.parse(said) + (clock() - asked) / 2;
        if (Number.isNaN(atHub)) throw new Error(`the hub said that it is ${said}`);
        offset = Math.round(atHub - now());
        return Math.round(atHub);
      } catch (error) {
        onFailure(error);
        return now();
      }
    },
    offsetMs: () => offset,
  };
}
