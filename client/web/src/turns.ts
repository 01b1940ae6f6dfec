/** Runs actions a few at a time, in the order in which they come. */

/** @param most - how many run at a time. */
export function createTurns(most: number): (action: () => Promise<void>) => void {
  const waiting: (() => Promise<void>)[] = [];
  let running = 0;

  function next(): void {
    if (running >= most) return;
    const action = waiting.shift();
    if (!action) return;
    running++;
    void action().finally(() => {
      running--;
      next();
    });
  }

  return (action) => {
    waiting.push(action);
    next();
  };
}
