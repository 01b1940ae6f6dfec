/** Runs actions one after the other for each key, and side by side for different keys. */
export interface KeyedMutex {
  run<T>(key: string, action: () => Promise<T>): Promise<T>;
  /** Resolves when all actions that run or wait now have ended. */
  settled(): Promise<void>;
}

export function createKeyedMutex(): KeyedMutex {
  const tails = new Map<string, Promise<unknown>>();

  async function run<T>(key: string, action: () => Promise<T>): Promise<T> {
    const before = tails.get(key);
    const result = (async () => {
      await before?.catch(() => undefined);
      return action();
    })();
    tails.set(key, result);
    try {
      return await result;
    } finally {
      if (tails.get(key) === result) tails.delete(key);
    }
  }

  return { run, settled: async () => void (await Promise.allSettled(tails.values())) };
}
