/** The waiting line of paused sources: in one turn of the event loop only a few of them are resumed. */
import type { Surroundings } from './surroundings.ts';

/**
 * How many are resumed in a turn. A resumed request delivers the chunk that Node read before the pause took effect, and then what the
 * kernel has buffered, up to its share: three chunks with 64 uploads. When all were resumed at once, they delivered a hundred chunks,
 * 13 ms of work, before anything else had a turn (docs/decisions/0073).
 */
const MOST_RESUMED = 4;

/** Calls this at once, or in a later turn: in the order in which they came. */
export type ResumeLine = (resume: () => void) => void;

/** A line for each process; in a simulation each has its surroundings. */
const lines = new WeakMap<object, ResumeLine>();

/** The line of all sources of a process. */
export function resumeLineOf(surroundings: Pick<Surroundings, 'turn'>): ResumeLine {
  const known = lines.get(surroundings);
  if (known) return known;
  const line = createResumeLine(() => surroundings.turn());
  lines.set(surroundings, line);
  return line;
}

function createResumeLine(turn: () => Promise<void>): ResumeLine {
  const waiting: (() => void)[] = [];
  let left = MOST_RESUMED;
  let isCounting = false;

  function resumeNext(): void {
    for (left = MOST_RESUMED; left > 0 && waiting.length > 0; left--) waiting.shift()?.();
  }

  /** Until a turn in which none was resumed. */
  async function countTurns(): Promise<void> {
    isCounting = true;
    while (left < MOST_RESUMED) {
      await turn();
      resumeNext();
    }
    isCounting = false;
  }

  return (resume) => {
    if (left === 0) {
      waiting.push(resume);
      return;
    }
    left--;
    if (!isCounting) void countTurns();
    resume();
  };
}
