/** What is said in passing: notices with an action, and words for those who listen. */
import { byId, make, setText } from './dom.ts';

const SHOWN_MS = 8_000;

/** Says it to a screen reader. */
export function announce(text: string): void {
  const live = byId('live');
  // The same words again are new words.
  if (live.textContent === text) live.textContent = '';
  setText(live, text);
}

interface Notice {
  /** Does what the action does, and takes the notice away. */
  act(): void;
  /** Takes it away, without the action and without its end. */
  drop(): void;
  /** Says this from now on, for as long as at first. */
  say(text: string): void;
}

/** What a notice offers, and what happens without it. */
interface Offer {
  label: string;
  run: () => void;
  /** Called when it went without the action. */
  onGone: (isLeaving: boolean) => void;
}

/** Shows a notice for a while, and says it; longer while it has the pointer or the focus. */
export function notify(text: string, offer?: Offer): Notice {
  const words = make('p', { dir: 'auto' }, text);
  const notice = make('div', { className: 'toast' }, words);
  let timer: number | undefined;
  let ended = false;
  const end = (): boolean => {
    const first = !ended;
    ended = true;
    clearTimeout(timer);
    window.removeEventListener('pagehide', onLeaving);
    notice.remove();
    return first;
  };
  const act = (): void => {
    if (end()) offer?.run();
  };
  const onLeaving = (): void => {
    if (end()) offer?.onGone(true);
  };
  const later = (): void => {
    if (notice.matches(':hover, :focus-within')) timer = window.setTimeout(later, 1_000);
    else if (end()) offer?.onGone(false);
  };
  const wait = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(later, offer ? SHOWN_MS : SHOWN_MS / 2);
  };
  if (offer) {
    const button = make('button', { type: 'button' }, offer.label);
    button.addEventListener('click', act);
    notice.append(button);
  }
  window.addEventListener('pagehide', onLeaving);
  byId('toasts').append(notice);
  announce(text);
  wait();
  return {
    act,
    drop: () => void end(),
    say: (changed) => {
      setText(words, changed);
      announce(changed);
      wait();
    },
  };
}

export interface Undoable<T> {
  add(one: T): void;
  /** Undoes this one alone. */
  takeBack(one: T): void;
}

/**
 * What is done once nobody has undone it for a while. However many are waiting, one notice tells of
 * them, and its action undoes them all.
 *
 * @param parts.carryOut - it is done now; where the page is being left, by what outlives it.
 */
export function createUndoable<T>(parts: {
  words: (waiting: T[]) => string;
  label: () => string;
  undo: (one: T) => void;
  /** Gives it the focus, once it is shown again. */
  focus: (one: T) => void;
  carryOut: (one: T, isLeaving: boolean) => void;
}): Undoable<T> {
  const waiting = new Set<T>();
  let notice: Notice | null = null;

  /** Ends the notice, and gives what was waiting for it. */
  function clear(): T[] {
    const all = [...waiting];
    waiting.clear();
    notice = null;
    return all;
  }

  /** The focus goes with the notice: what is back has it. */
  function undoAll(): void {
    const all = clear();
    all.forEach((each) => parts.undo(each));
    const last = all.at(-1);
    if (last === undefined || document.activeElement !== document.body) return;
    requestAnimationFrame(() => requestAnimationFrame(() => parts.focus(last)));
  }

  return {
    add: (one) => {
      waiting.add(one);
      const words = parts.words([...waiting]);
      if (notice) notice.say(words);
      else {
        notice = notify(words, {
          label: parts.label(),
          run: undoAll,
          onGone: (isLeaving) => clear().forEach((each) => parts.carryOut(each, isLeaving)),
        });
      }
    },
    takeBack: (one) => {
      if (!waiting.delete(one)) return;
      if (waiting.size > 0) notice?.say(parts.words([...waiting]));
      else {
        notice?.drop();
        notice = null;
      }
      parts.undo(one);
    },
  };
}
