/** Which folder is open: its path is in the page's address, so that it can be kept, sent, opened anew, and left by the browser's own buttons. */
import { cleanName } from '../../../server/wire/labels.ts';

export interface Place {
  /** The path of the open folder; empty: the top. */
  readonly folder: string;
  /** Opens a folder. */
  open(folder: string): void;
  /** The open folder has another path: the address is replaced. */
  follow(folder: string): void;
}

/** The address of a folder, relative to the page. */
export function placeAddress(folder: string): string {
  return `#/${folder.split('/').map(encodeURIComponent).join('/')}`;
}

/** The folder of an address; the top where it names none. */
function readAddress(hash: string): string {
  try {
    // Also what users type: a path without slashes around it.
    return cleanName(decodeURIComponent(hash.replace(/^#/, ''))) ?? '';
  } catch {
    return '';
  }
}

/** @param onOpen - called after another folder was opened. `from`: the one that was open before. */
export function startPlace(onOpen: (from: string) => void): Place {
  let folder = readAddress(location.hash);

  window.addEventListener('hashchange', () => {
    const from = folder;
    folder = readAddress(location.hash);
    if (folder !== from) onOpen(from);
  });

  return {
    get folder() {
      return folder;
    },
    open: (path) => {
      location.hash = placeAddress(path);
    },
    follow: (path) => {
      const from = folder;
      folder = path;
      history.replaceState(history.state, '', placeAddress(path));
      onOpen(from);
    },
  };
}
