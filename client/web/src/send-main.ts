/** The entry of the page of an upload link: what somebody without an account sees who sends files by it. */
import type { RequestedJson } from '../../../server/wire/links.ts';
import { linkTerms, maxFileSize } from './api.ts';
import { startChoosing } from './choose.ts';
import { byId, make, setText, shownName } from './dom.ts';
import { formatCount, formatSize, formatWhen } from './format.ts';
import { onLanguage, startLanguage, texts } from './i18n.ts';
import type { Item } from './item.ts';
import { createQueue, type Queue } from './queue.ts';
import { sentenceOfError } from './refusal.ts';
import { keep, recall } from './storage.ts';
import { createUploadsView } from './uploads-view.ts';

/** What was sent from this browser, the newest first; other senders' files are not told. */
interface Sent {
  name: string;
  size: number;
  md5: string;
}

const MOST_REMEMBERED = 1_000;

/** How often the page asks what the link takes. Of one with a password this prolongs the leave, which is good for an hour. */
const ASK_EVERY_MS = 10 * 60_000;

function start(): void {
  startLanguage(byId<HTMLButtonElement>('language'));
  rememberName();
  const terms = showTerms();
  const sent = showSent();
  const view = createUploadsView({
    queue: () => queue,
    limit: () => terms.limit(),
    choose: () => choosing.choose(),
    open: null,
  });
  const queue: Queue = createQueue(
    {
      onChange: (item) => view.onChange(item),
      onList: () => view.onList(),
      onOver: (item) => {
        view.onOver(item);
        sent.add(item);
        if (item.result) void terms.ask();
      },
    },
    () => terms.limit(),
  );
  const choosing = startChoosing(
    (chosen) => void Promise.all([terms.asked, queue.restored]).then(() => queue.add(view.takeBack(chosen))),
    // Of the owner's folders a sender knows none: names are paths below the link's.
    { folder: '' },
  );
  setInterval(() => void terms.ask(), ASK_EVERY_MS);
  document.body.classList.add('ready');
}

/** Shows what the link takes. */
function showTerms() {
  let known: RequestedJson | null = null;
  let problem: unknown = null;
  let most: number | null = null;

  function show(): void {
    const t = texts();
    if (known?.name) setText(byId('request-title'), shownName(known.name));
    setText(byId('terms'), known ? wordsOf(known) : problem === null ? '' : sentenceOfError(problem));
    byId('drop').ariaLabel = t.send;
  }

  async function ask(): Promise<void> {
    try {
      known = await linkTerms();
      most = await maxFileSize();
      problem = null;
    } catch (error) {
      problem = error;
    }
    show();
  }

  onLanguage(show);
  return {
    ask,
    asked: ask(),
    limit: (): number | null => {
      const limits = [known?.maxFileBytes ?? null, most].filter((limit) => limit !== null);
      return limits.length === 0 ? null : Math.min(...limits);
    },
  };
}

function wordsOf({ expiresAt, filesLeft, bytesLeft, maxFileBytes, types }: RequestedJson): string {
  const t = texts();
  return [
    ...(expiresAt === null ? [] : [t.until(formatWhen(expiresAt).whole)]),
    ...(filesLeft === null ? [] : [t.filesLeft(formatCount(filesLeft), filesLeft === 1)]),
    ...(bytesLeft === null ? [] : [t.bytesLeft(formatSize(bytesLeft))]),
    ...(maxFileBytes === null ? [] : [t.mostOfOne(formatSize(maxFileBytes))]),
    ...(types === null ? [] : [t.typesTaken(types.join(', '))]),
  ].join(' · ');
}

/** Lists what was sent from this browser, also on earlier visits. */
function showSent(): { add: (item: Item) => void } {
  const key = `tidemark-sent ${location.pathname}`;
  let files = readSent(recall('localStorage', key));

  function show(): void {
    byId('sent').hidden = files.length === 0;
    byId('sent-list').replaceChildren(
      ...files.map(({ name, size, md5 }) =>
        make(
          'li',
          {},
          make('bdi', { dir: 'auto' }, shownName(name)),
          make('p', { className: 'hint' }, `${formatSize(size)} · MD5 ${md5}`),
        ),
      ),
    );
  }

  onLanguage(show);
  show();
  return {
    add: ({ result }) => {
      if (!result) return;
      const { name, size, md5 } = result;
      // Another tab may have written meanwhile.
      files = [{ name, size, md5 }, ...readSent(recall('localStorage', key))].slice(0, MOST_REMEMBERED);
      keep('localStorage', key, JSON.stringify(files));
      show();
    },
  };
}

/** What is kept may have been damaged. */
function readSent(text: string | null): Sent[] {
  try {
    const kept = JSON.parse(text ?? '[]') as unknown;
    if (!Array.isArray(kept)) return [];
    return kept.filter(
      (one: Partial<Sent> | null): one is Sent =>
        typeof one?.name === 'string' && typeof one.size === 'number' && typeof one.md5 === 'string',
    );
  } catch {
    return [];
  }
}

/** Keeps the sender's name for the next visit. */
function rememberName(): void {
  const input = byId<HTMLInputElement>('sender');
  const key = 'tidemark-sender';
  input.value = recall('localStorage', key) ?? '';
  input.addEventListener('change', () => keep('localStorage', key, input.value));
}

start();
