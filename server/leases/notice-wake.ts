/** Wakes the nodes of all processes, over the catalog's notices. */
import type { Asked } from '../catalog/catalog.ts';
import type { Notices } from '../catalog/notices.ts';
import { createProcessWake, type Wake } from './wake.ts';

/** How many uploads are remembered about which other nodes have asked. Messages about any other upload stay in this process. */
const MOST_ASKED = 10_000;

/** Wakes this process's nodes directly, and all others by `notices`. */
export function createNoticeWake(notices: Notices): Wake {
  const here = createProcessWake();
  const asked = new Set<string>();
  /** The nodes of this process. */
  const own = new Set<string>();

  function noteAsked(id: string): void {
    asked.delete(id);
    asked.add(id);
    const [oldest] = asked;
    if (asked.size > MOST_ASKED && oldest !== undefined) asked.delete(oldest);
  }

  function onNotice(notice: string): void {
    const [word, ...rest] = notice.split(' ');
    if (word === 'told') here.tell(rest[0] ?? '');
    if (word !== 'ask') return;
    const [node = '', what, id = ''] = rest;
    if (!own.has(node) || !isAsked(what)) return;
    askHere(node, what, id);
  }

  function askHere(node: string, what: Asked, id: string): void {
    noteAsked(id);
    here.ask(node, what, id);
  }

  notices.hear({
    onNotice,
    // Requests that wait check again within a second anyway.
    onGap: () => undefined,
  });

  return {
    ask: (node, what, id) => {
      if (own.has(node)) askHere(node, what, id);
      else notices.send(`ask ${node} ${what} ${id}`, { urgent: true });
    },
    tell: (id) => {
      here.tell(id);
      if (asked.has(id)) notices.send(`told ${id}`, { urgent: true });
    },
    listen: (node, ears) => {
      own.add(node);
      const stop = here.listen(node, ears);
      return () => {
        own.delete(node);
        stop();
      };
    },
  };
}

function isAsked(text: string | undefined): text is Asked {
  return text === 'release' || text === 'commit';
}
