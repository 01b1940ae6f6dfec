/**
 * Events that other nodes have recorded: their notices wake the listeners here, and as notices may be lost, the numbers of
 * events are looked at now and then, once for all listeners.
 */
import type { Logger } from 'pino';
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Catalog, EventRecord } from '../catalog/catalog.ts';
import { MOST_NOTICE_BYTES, type Notices } from '../catalog/notices.ts';
import type { Feed } from './feed.ts';

const WORD = 'file ';
const LOOK_EVERY_MS = 5_000;
/** More that are new wake everybody. */
const MOST_NEW = 500;

/** Something may have happened to an owner's files here: tells the other nodes, whose listeners it wakes. */
export function shareWakes(feed: Feed, notices: Notices): (owner: string) => void {
  notices.hear({
    onNotice: (notice) => {
      if (notice.startsWith(WORD)) wakeNamed(feed, notice.slice(WORD.length));
    },
    onGap: () => feed.wakeAll(),
  });
  return (owner) => {
    feed.wake(owner);
    const notice = WORD + encodeURIComponent(owner);
    notices.send(Buffer.byteLength(notice) > MOST_NOTICE_BYTES ? WORD : notice);
  };
}

function ownerOf(event: EventRecord): string {
  return event.kind === 'moved' ? event.owner : event.file.owner;
}

/** @param name - of an owner; empty where it was too long. */
function wakeNamed(feed: Feed, name: string): void {
  let owner: string;
  try {
    owner = decodeURIComponent(name);
  } catch {
    // Another program uses the channel.
    return;
  }
  if (owner === '') feed.wakeAll();
  else feed.wake(owner);
}

export interface LookParts {
  catalog: Pick<Catalog, 'latestEvent' | 'listEvents'>;
  feed: Feed;
  surroundings: Pick<Surroundings, 'wait' | 'random'>;
  log: Logger;
  stopping: AbortSignal;
}

/** Looks for new events while anybody listens here, until the service stops. */
export async function lookForEvents({ catalog, feed, surroundings, log, stopping }: LookParts): Promise<void> {
  /** Events up to this number have woken their listeners. Undefined: nobody listened. */
  let known: number | undefined;

  async function look(): Promise<void> {
    const latest = await catalog.latestEvent(null);
    const before = known;
    known = latest;
    if (before === latest) return;
    const events =
      before === undefined ? null : await catalog.listEvents({ owner: null, after: before, limit: MOST_NEW });
    if (events === null || events.length === MOST_NEW) feed.wakeAll();
    else for (const owner of new Set(events.map(ownerOf))) feed.wake(owner);
  }

  while (!stopping.aborted) {
    const restMs = LOOK_EVERY_MS * (0.8 + 0.4 * surroundings.random());
    await surroundings.wait(restMs, { signal: stopping, ref: false }).catch(() => undefined);
    if (stopping.aborted) return;
    if (!feed.hasListeners()) known = undefined;
    else {
      await look().catch((error: unknown) => {
        if (!stopping.aborted) log.warn({ err: error }, 'new events could not be looked for');
      });
    }
  }
}
