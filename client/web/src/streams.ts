/** The setting of how many connections carry a file, which the browser keeps. */
import { sendingAtOnce } from '../../core/upload-states.ts';
import { byId } from './dom.ts';
import { keep, recall } from './storage.ts';

const KEY = 'tidemark-streams';
const MOST = 8;

/** Where the browser keeps nothing, the setting holds for this visit. */
let wanted = 1;

/** How many files are sent at once, and over how many connections each. */
export function atOnce(): { files: number; streams: number } {
  const [page] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
  return sendingAtOnce(wanted, page?.nextHopProtocol ?? '');
}

/** Shows the setting. It holds for files that are sent from then on. */
export function startStreams(select: HTMLSelectElement): void {
  wanted = read(recall('localStorage', KEY));
  for (let streams = 1; streams <= MOST; streams += 1) select.append(new Option(String(streams)));
  select.value = String(wanted);
  select.addEventListener('change', () => {
    wanted = read(select.value);
    keep('localStorage', KEY, String(wanted));
  });
  byId('streams-setting').hidden = false;
}

function read(text: string | null): number {
  const streams = Number(text);
  return Number.isInteger(streams) && streams >= 1 && streams <= MOST ? streams : 1;
}
