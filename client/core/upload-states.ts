/**
 * The states of an upload in the page as a table, and whose turn it is. Nothing here does anything: the page's
 * queue-steps.ts and sender.ts take the steps.
 */

export type State =
  | 'queued'
  | 'hashing'
  /** Its digests are known. */
  | 'ready'
  | 'checking'
  | 'sending'
  | 'paused'
  /** Resumes by itself; `stall` says what it waits for. */
  | 'stalled'
  | 'instant'
  | 'done'
  | 'failed'
  /** Of an earlier life of the page: its file has to be chosen again. */
  | 'interrupted';

/** `waiting`: for its turn, to be read or, where its digests are known, to be sent. */
type Next = State | 'waiting';

/** Which step leads from which state to which. Where a state has no entry, the step means nothing to it. */
const TABLE = {
  /** It is read. */
  hash: { queued: 'hashing' },
  /** Its digests are known. */
  digested: { hashing: 'ready', paused: 'paused' },
  /** The service is asked about it. */
  ask: { ready: 'checking' },
  /** Its bytes go over the line; `ready` where it was paused on the way. */
  send: { ready: 'sending', checking: 'sending', sending: 'sending' },

  pause: {
    queued: 'paused',
    hashing: 'paused',
    ready: 'paused',
    checking: 'paused',
    sending: 'paused',
    stalled: 'paused',
  },
  resume: { paused: 'waiting' },
  /** It cannot be sent now, for a reason that will pass. */
  stall: underWayTo('stalled'),
  wake: { stalled: 'waiting' },

  /** The service has the file: what it was sent, or what was there already. */
  finish: { ...underWayTo('done'), interrupted: 'done' },
  finishAtOnce: underWayTo('instant'),
  fail: { ...underWayTo('failed'), failed: 'failed' },
  /** With the file as it was, or as it is by now. */
  retry: { failed: 'waiting' },
  /** Its file is there again. */
  continue: { interrupted: 'waiting' },
} satisfies Record<string, Partial<Record<State, Next>>>;

export type Step = keyof typeof TABLE;

function underWayTo<T extends State>(
  next: T,
): Record<Exclude<State, 'instant' | 'done' | 'failed' | 'interrupted'>, T> {
  return { queued: next, hashing: next, ready: next, checking: next, sending: next, paused: next, stalled: next };
}

/** What the table needs to know of an item. */
export interface ItemStanding {
  state: State;
  md5: string | null;
  sha256: string | null;
  size: number;
}

/** The state that follows; null where the step means nothing to this one. */
export function stateAfter(step: Step, { state, md5 }: Pick<ItemStanding, 'state' | 'md5'>): State | null {
  const row: Partial<Record<State, Next>> = TABLE[step];
  const next = row[state] ?? null;
  if (next !== 'waiting') return next;
  return md5 === null ? 'queued' : 'ready';
}

/** HTTP/1.1 browsers open six connections: some are left for the list and its events. */
const SENDING_AT_ONCE = 3;

/** The next one to be read: one at a time, as more would share the same disk and core. */
export function nextToHash<T extends ItemStanding>(items: readonly T[]): T | undefined {
  if (items.some(({ state }) => state === 'hashing')) return undefined;
  return items.find(({ state }) => state === 'queued');
}

/** Those that may be sent now. The same bytes twice: the second one is instant when the first is done. */
export function nextToSend<T extends ItemStanding>(items: readonly T[]): T[] {
  const active = items.filter(({ state }) => state === 'checking' || state === 'sending');
  const next: T[] = [];
  for (const item of items) {
    if (active.length >= SENDING_AT_ONCE) break;
    if (item.state !== 'ready') continue;
    if (active.some((other) => other.sha256 === item.sha256 && other.size === item.size)) continue;
    active.push(item);
    next.push(item);
  }
  return next;
}
