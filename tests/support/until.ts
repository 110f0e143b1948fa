/** A value that changes and can be waited for: `until` resolves once the condition holds, now or later. */
export type Watched<T> = { value: T; changed(): void; until(condition: (value: T) => boolean): Promise<T> };

export function watch<T>(value: T): Watched<T> {
  const waiting = new Set<() => void>();
  const watched: Watched<T> = {
    value,
    changed() {
      for (const look of waiting) look();
    },
    until: (condition) =>
      new Promise((resolve) => {
        const look = () => {
          if (!condition(watched.value)) return;
          waiting.delete(look);
          resolve(watched.value);
        };
        waiting.add(look);
        look();
      }),
  };
  return watched;
}
