/**
 * The clock of a catalog in SQLite. The wall clock may jump: an empty battery, a wrong time server, a person who sets it.
 * So a second clock stands beside it, which counts with the machine from what the wall clock once said and does not jump.
 * A life is counted from the later of the two, and has ended when the earlier one says so. See
 * docs/decisions/0024-time-has-to-pass.md.
 */
import { type Surroundings, SYSTEM } from '../../../stores/surroundings.ts';
import type { CatalogClock, ClockNews } from '../catalog.ts';

/** The earlier of both clocks is `earliest`, the later one `latest`. */
export interface Clock extends CatalogClock {
  /** The wall clock: for what people read. */
  wall(): number;
  /** Does not jump: for how long ago something was. */
  steady(): number;
  /** To be called now and then: finds jumps while nothing else asks, and returns what a restart continues from. */
  keep(): string;
}

/** What a clock reads its time from. */
export type ClockSource = Pick<Surroundings, 'wallMs' | 'elapsedMs' | 'uptimeMs' | 'bootId'>;

export interface ClockOptions {
  source?: ClockSource | undefined;
  /** What `keep` has returned to the process before. */
  kept?: string | undefined;
  /** After a jump, the wall clock is believed once it has held for as long: no less than the longest life. */
  believeAfterMs?: number | undefined;
  tell?: ((news: ClockNews) => void) | undefined;
}

interface Kept {
  bootId: string | null;
  uptimeMs: number;
  steadyMs: number;
  /** By the steady clock; null while both agree. */
  apartSinceMs: number | null;
}

/** Leap seconds and a time server's small steps are less. */
const JUMP_MS = 5_000;

/** A clock that continues from what was kept, and believes the wall clock where nothing was. */
export function createClock({ source = SYSTEM, kept, believeAfterMs = Infinity, tell }: ClockOptions): Clock {
  const before = readKept(kept);
  /** What the steady clock is ahead of the time elapsed. */
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

  /** Both times, after a look at whether the wall clock has jumped. */
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
 * The steady clock's time at this start. While the machine was off nothing counted, so that time shortens no life.
 * Undefined where nothing can be said.
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
