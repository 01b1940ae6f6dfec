/**
 * The states of an upload in the page as a table, and which upload is next. The page's queue-steps.ts and sender.ts carry
 * it out.
 */

export type State =
  | 'queued'
  | 'hashing'
  /** Its digests are known, and it waits to be sent. */
  | 'ready'
  | 'checking'
  /** The user is asked what becomes of the other file of its name. */
  | 'asking'
  | 'sending'
  | 'paused'
  /** Resumes by itself; `stall` says what it waits for. */
  | 'stalled'
  /** Done without sending: the service had the content. */
  | 'instant'
  | 'done'
  | 'failed'
  /** From an earlier visit to the page, which cannot read its file yet. */
  | 'interrupted';

/** `waiting`: `queued`, or `ready` where its digests are known. */
type Next = State | 'waiting';

/** Which step leads from which state to which. A step does nothing in a state that has no entry for it. */
const TABLE = {
  /** The page begins to compute its digests. */
  hash: { queued: 'hashing' },
  /** Its digests are known. */
  digested: { hashing: 'ready', paused: 'paused' },
  /** The page asks the service whether it has the content. */
  ask: { ready: 'checking' },
  /** The page begins to send its bytes, or resumes a transfer that was paused (from `ready`). */
  send: { ready: 'sending', checking: 'sending', sending: 'sending' },
  /** The user has to answer first. Meanwhile others are sent. */
  question: { checking: 'asking' },
  answer: { asking: 'waiting' },

  pause: {
    queued: 'paused',
    hashing: 'paused',
    ready: 'paused',
    checking: 'paused',
    asking: 'paused',
    sending: 'paused',
    stalled: 'paused',
  },
  resume: { paused: 'waiting' },
  /** It cannot be sent now, for a reason that will pass. */
  stall: underWayTo('stalled'),
  wake: { stalled: 'waiting' },

  /** The service has published the file. */
  finish: { ...underWayTo('done'), interrupted: 'done' },
  /** The service had the content already. */
  finishAtOnce: underWayTo('instant'),
  fail: { ...underWayTo('failed'), failed: 'failed' },
  /** With the file as it was, or as it is by now. */
  retry: { failed: 'waiting' },
  /** The page can read its file again. */
  continue: { interrupted: 'waiting' },
} satisfies Record<string, Partial<Record<State, Next>>>;

export type Step = keyof typeof TABLE;

function underWayTo<T extends State>(
  next: T,
): Record<Exclude<State, 'instant' | 'done' | 'failed' | 'interrupted'>, T> {
  return {
    queued: next,
    hashing: next,
    ready: next,
    checking: next,
    asking: next,
    sending: next,
    paused: next,
    stalled: next,
  };
}

/** What the table needs to know of an item. */
export interface ItemStanding {
  state: State;
  md5: string | null;
  sha256: string | null;
  size: number;
}

/** The state that follows; null where the step does nothing in this state. */
export function stateAfter(step: Step, { state, md5 }: Pick<ItemStanding, 'state' | 'md5'>): State | null {
  const row: Partial<Record<State, Next>> = TABLE[step];
  const next = row[state] ?? null;
  if (next !== 'waiting') return next;
  return md5 === null ? 'queued' : 'ready';
}

/** Files that are sent at once, over a connection each. */
const SENDING_AT_ONCE = 3;
/** A browser opens at most six HTTP/1.1 connections to a host: the list and its events need some of them. */
const MOST_CONNECTIONS = 4;

/**
 * How many files are sent at once, and over how many connections each.
 *
 * @param wanted - connections for each file, as the user has set it.
 * @param protocol - of the page's own connection, as browsers name it (`nextHopProtocol`): from HTTP/2 on, requests share one.
 */
export function sendingAtOnce(wanted: number, protocol: string): { files: number; streams: number } {
  if (wanted <= 1) return { files: SENDING_AT_ONCE, streams: 1 };
  if (/^h[23]/.test(protocol)) return { files: SENDING_AT_ONCE, streams: wanted };
  const streams = Math.min(wanted, MOST_CONNECTIONS);
  return { files: Math.floor(MOST_CONNECTIONS / streams), streams };
}

/** The item to hash next: one at a time, as two would share the same disk and core. */
export function nextToHash<T extends ItemStanding>(items: readonly T[]): T | undefined {
  if (items.some(({ state }) => state === 'hashing')) return undefined;
  return items.find(({ state }) => state === 'queued');
}

/**
 * The items that may be sent now. Of two with the same bytes, the second waits: it is instant once the first is done.
 *
 * @param files - how many are sent at once.
 */
export function nextToSend<T extends ItemStanding>(items: readonly T[], files: number): T[] {
  const active = items.filter(({ state }) => state === 'checking' || state === 'sending');
  const next: T[] = [];
  for (const item of items) {
    if (active.length >= files) break;
    if (item.state !== 'ready') continue;
    if (active.some((other) => other.sha256 === item.sha256 && other.size === item.size)) continue;
    active.push(item);
    next.push(item);
  }
  return next;
}
