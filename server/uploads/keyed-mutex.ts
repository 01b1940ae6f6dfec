/** Runs actions one after the other for each key, and side by side for different keys. */
export interface KeyedMutex {
  run<T>(key: string, action: () => Promise<T>): Promise<T>;
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

  return { run };
}
