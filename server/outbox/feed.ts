/**
 * The feed of what happens to an owner's files. The rows of the catalog are the truth; a wake is only a hint that there may
 * be new ones. Each listener has a place in the rows, and reads on from it as fast as its client accepts events. Listeners at
 * the same place share one read.
 */
import type { Catalog, EventRecord, FileEventRecord, FolderEventRecord } from '../catalog/catalog.ts';
import type { Cursors } from './cursor.ts';

export type EventFile = FileEventRecord['file'];

/** `id`: an opaque cursor, the place after this event. */
export type FileEvent = { id: string } & (
  | Pick<FileEventRecord, 'kind' | 'file' | 'sent'>
  | Pick<FolderEventRecord, 'kind' | 'from' | 'to'>
);

export type Told =
  /** Events from before this moment are skipped: the listener has to read the catalog. */
  { kind: 'begin'; id: string } | { kind: 'events'; events: readonly FileEvent[] };

export interface Listening {
  /** Waits for the next events; undefined once `stop` was called. Only one call at a time. */
  next(): Promise<Told | undefined>;
  stop(): void;
}

export interface Feed {
  /** Wakes the listeners of an owner: something may have happened to the owner's files. Never waits, never throws. */
  wake(owner: string): void;
  /** The same for all owners. */
  wakeAll(): void;
  hasListeners(): boolean;
  /**
   * Listens until `stop` is called.
   *
   * @param after - the id of the last event that the listener knows. Where it is not an event of this owner, or events after
   *   it are forgotten, the feed starts with `begin`.
   * @returns undefined where the owner has too many listeners already.
   */
  listen(owner: string, after?: string): Promise<Listening | undefined>;
}

export interface FeedParts {
  catalog: Pick<Catalog, 'listEvents' | 'latestEvent' | 'durable'>;
  cursors: Cursors;
  /** The file as its owner may see it at this moment. */
  show: (file: EventFile) => EventFile;
}

/** The most listeners of one owner: each needs a connection, and writes every event. */
const MOST_LISTENERS = 500;
/** The most events that are read, and sent, at a time. */
const PAGE = 100;
/** After so many full pages in a row, a listener gets `begin`: reading the catalog is faster then. */
const MOST_PAGES = 100;
/** Pages of one owner that are kept for listeners that reach the same place a little later. */
const SHARED_PAGES = 4;

/** Null: some of the requested events are forgotten. */
type Page = { events: readonly FileEvent[]; last: number } | null;

interface SharedPage {
  page: Promise<Page>;
  /** How many wakes there were when the read began. */
  wakes: number;
  /** The page has events, so it stays valid: later events come after them. */
  isLasting: boolean;
}

/** What one owner's listeners share, while there are any. */
interface OfOwner {
  listeners: number;
  wakes: number;
  /** By the number of the event before the page; the oldest first. */
  pages: Map<number, SharedPage>;
  /** Resumes the listeners that have no more events to send. */
  waiting: Set<() => void>;
}

export function createFeed(parts: FeedParts): Feed {
  const { catalog, cursors } = parts;
  const owners = new Map<string, OfOwner>();

  function wake(owner: string): void {
    const its = owners.get(owner);
    if (!its) return;
    its.wakes++;
    const waiting = [...its.waiting];
    its.waiting.clear();
    for (const goOn of waiting) goOn();
  }

  async function listen(owner: string, after?: string): Promise<Listening | undefined> {
    const its = owners.get(owner) ?? { listeners: 0, wakes: 0, pages: new Map(), waiting: new Set() };
    if (its.listeners >= MOST_LISTENERS) return undefined;
    its.listeners++;
    owners.set(owner, its);
    const leave = (): void => {
      if (--its.listeners === 0) owners.delete(owner);
    };
    try {
      const latest = await latestOf(owner);
      const known = after === undefined ? undefined : cursors.read(owner, after);
      // A number that this catalog has not reached is from before the catalog was restored from a backup.
      const isKnown = known !== undefined && known <= latest;
      return createListening(parts, { owner, its, leave, place: isKnown ? known : latest, begins: !isKnown, latestOf });
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** The number of the latest durable event: after a power cut, a number that was not durable goes to another event. */
  async function latestOf(owner: string): Promise<number> {
    const latest = await catalog.latestEvent(owner);
    await catalog.durable();
    return latest;
  }

  return {
    wake,
    wakeAll: () => {
      for (const owner of owners.keys()) wake(owner);
    },
    hasListeners: () => owners.size > 0,
    listen,
  };
}

interface Place {
  owner: string;
  its: OfOwner;
  /** Counts this listener out. */
  leave: () => void;
  /** The number of the last event that is known. */
  place: number;
  /** Whether to start with `begin`. */
  begins: boolean;
  latestOf: (owner: string) => Promise<number>;
}

function createListening(parts: FeedParts, { owner, its, leave, latestOf, ...from }: Place): Listening {
  let { place, begins } = from;
  let isStopped = false;
  let pagesInARow = 0;
  let goOn: () => void = () => undefined;

  async function next(): Promise<Told | undefined> {
    for (;;) {
      if (isStopped) return undefined;
      if (begins) {
        begins = false;
        return { kind: 'begin', id: parts.cursors.write(owner, place) };
      }
      const { wakes } = its;
      const page = await pageAfter(parts, owner, its, place);
      if (isStopped) return undefined;
      const isFarBehind = pagesInARow >= MOST_PAGES && page?.events.length !== 0;
      if (page === null || isFarBehind) {
        place = await latestOf(owner);
        begins = true;
        pagesInARow = 0;
      } else if (page.events.length > 0) {
        place = page.last;
        pagesInARow = page.events.length < PAGE ? 0 : pagesInARow + 1;
        return { kind: 'events', events: page.events };
      } else {
        pagesInARow = 0;
        if (its.wakes === wakes) await new Promise<void>((resolve) => its.waiting.add((goOn = resolve)));
      }
    }
  }

  return {
    next,
    stop: () => {
      if (isStopped) return;
      isStopped = true;
      its.waiting.delete(goOn);
      goOn();
      leave();
    },
  };
}

/** The events after a place, read once for all listeners that ask at about the same time. */
function pageAfter(parts: FeedParts, owner: string, its: OfOwner, after: number): Promise<Page> {
  const known = its.pages.get(after);
  // A read that began before the last wake may have missed the event of that wake.
  if (known && (known.isLasting || known.wakes === its.wakes)) return known.page;
  const shared: SharedPage = { page: readPage(parts, owner, after), wakes: its.wakes, isLasting: false };
  its.pages.delete(after);
  its.pages.set(after, shared);
  const [oldest] = its.pages.keys();
  if (its.pages.size > SHARED_PAGES && oldest !== undefined) its.pages.delete(oldest);
  const settle = (page: Page): void => {
    if (page && page.events.length > 0) shared.isLasting = true;
    else if (its.pages.get(after) === shared) its.pages.delete(after);
  };
  shared.page.then(settle, () => settle(null));
  return shared.page;
}

async function readPage({ catalog, cursors, show }: FeedParts, owner: string, after: number): Promise<Page> {
  const records = await catalog.listEvents({ owner, after, limit: PAGE });
  if (records === null) return null;
  if (records.length === 0) return { events: [], last: after };
  const shown = records.map((record) => shownBy(show, record));
  await catalog.durable();
  // Shown before and after the wait: a digest that became visible meanwhile may be there only because of other owners.
  const events = shown.map((record) => ({
    id: cursors.write(owner, record.number),
    ...eventOf(shownBy(show, record)),
  }));
  return { events, last: records.at(-1)?.number ?? after };
}

function shownBy(show: FeedParts['show'], record: EventRecord): EventRecord {
  return record.kind === 'moved' ? record : { ...record, file: show(record.file) };
}

function eventOf(record: EventRecord) {
  if (record.kind === 'moved') return { kind: record.kind, from: record.from, to: record.to };
  return { kind: record.kind, file: record.file, ...(record.sent ? { sent: record.sent } : {}) };
}
