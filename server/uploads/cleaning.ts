/** Removals that no request waits for. The service waits for them before it closes the store. */
export interface Cleaning {
  /** @param removal - never rejects. */
  note(removal: Promise<void>): void;
  /** Resolves once those that were noted before have ended. */
  settled(): Promise<void>;
}

export function createCleaning(): Cleaning {
  const running = new Set<Promise<void>>();

  async function follow(removal: Promise<void>): Promise<void> {
    running.add(removal);
    await removal.finally(() => running.delete(removal));
  }

  return {
    note: (removal) => void follow(removal),
    settled: async () => {
      await Promise.all(running);
    },
  };
}
