/**
 * The clock of a catalog in SQLite. The wall clock may jump: an empty battery, a wrong time server, a person who sets it.
 * So there is a second, steady clock, which starts at the wall clock's time, counts the time that passes, and never jumps.
 * Lifetimes are counted from the later of the two clocks, and end by the earlier one. See
 * docs/decisions/0024-time-has-to-pass.md.
 */
import { type Surroundings, SYSTEM } from '../../../stores/surroundings.ts';
import type { CatalogClock, ClockNews } from '../catalog.ts';

/** `earliest` is the earlier of the two clocks, `latest` the later one. */
export interface Clock extends CatalogClock {
  /** The wall clock, for times that people read. */
  wall(): number;
  /** The steady clock, to measure how long ago something was. */
  steady(): number;
  /** Looks for a jump, and returns the state from which a restart continues. To be called regularly. */
  keep(): string;
}

/** The clocks of the machine. */
export type ClockSource = Pick<Surroundings, 'wallMs' | 'elapsedMs' | 'uptimeMs' | 'bootId'>;

export interface ClockOptions {
  source?: ClockSource | undefined;
  /** The last result of `keep` in the process before. */
  kept?: string | undefined;
  /** After a jump, the wall clock is believed when it has not jumped again for this long; at least the longest lifetime. */
  believeAfterMs?: number | undefined;
  tell?: ((news: ClockNews) => void) | undefined;
}

interface Kept {
  bootId: string | null;
  uptimeMs: number;
  steadyMs: number;
  /** Since when both clocks differ, by the steady clock; null while they agree. */
  apartSinceMs: number | null;
}

/** A difference that counts as a jump: leap seconds and the small steps of a time server are less. */
const JUMP_MS = 5_000;

/** A clock that continues from `kept`; without it, the steady clock starts at the wall clock's time. */
export function createClock({ source = SYSTEM, kept, believeAfterMs = Infinity, tell }: ClockOptions): Clock {
  const before = readKept(kept);
  /** The steady clock's lead over `elapsedMs`. */
  let offsetMs = (before && steadyAfter(before, source)) ?? source.wallMs();
  offsetMs -= source.elapsedMs();
  let apartMs = source.wallMs() - steady();
  let apartSinceMs: number | null = null;
  if (Math.abs(apartMs) >= JUMP_MS) {
    apartSinceMs = before?.apartSinceMs ?? steady();
    tell?.({ kind: 'apart', byMs: apartMs });
  }

  function steady(): number {
    return source.elapsedMs() + offsetMs;
  }

  /** Reads both clocks, after a look whether the wall clock has jumped, or can be believed again. */
  function read(): { wall: number; own: number } {
    const wall = source.wallMs();
    const own = steady();
    const byMs = wall - own - apartMs;
    if (Math.abs(byMs) >= JUMP_MS) {
      apartMs = wall - own;
      apartSinceMs = Math.abs(apartMs) < JUMP_MS ? null : own;
      tell?.({ kind: 'jump', byMs });
    }
    if (apartSinceMs === null || own - apartSinceMs < believeAfterMs) return { wall, own };
    tell?.({ kind: 'believed', byMs: apartMs });
    offsetMs += wall - own;
    apartMs = 0;
    apartSinceMs = null;
    return { wall, own: wall };
  }

  return {
    wall: () => Math.round(source.wallMs()),
    steady: () => Math.round(steady()),
    earliest: () => {
      const { wall, own } = read();
      return Math.floor(Math.min(wall, own));
    },
    latest: () => {
      const { wall, own } = read();
      return Math.ceil(Math.max(wall, own));
    },
    keep: () => {
      const { own } = read();
      const { bootId } = source;
      return JSON.stringify({ bootId, uptimeMs: source.uptimeMs(), steadyMs: own, apartSinceMs } satisfies Kept);
    },
  };
}

/**
 * The steady clock's time at this start. Time while the machine was off does not count, so that it shortens no lifetime.
 * Undefined where the machine does not say whether it has been restarted.
 */
function steadyAfter({ bootId, uptimeMs, steadyMs }: Kept, source: ClockSource): number | undefined {
  if (bootId === null || source.bootId === null) return undefined;
  return bootId === source.bootId ? steadyMs + Math.max(0, source.uptimeMs() - uptimeMs) : steadyMs;
}

function readKept(text: string | undefined): Kept | undefined {
  if (text === undefined) return undefined;
  try {
    const kept = JSON.parse(text) as Kept;
    return Number.isFinite(kept.uptimeMs) && Number.isFinite(kept.steadyMs) ? kept : undefined;
  } catch {
    return undefined;
  }
}
