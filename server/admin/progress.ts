/** Shows the progress of a move: one line that changes on a terminal, a line every 10 s elsewhere. */

/** What the move reports. */
export interface Progress {
  begin: (whole: { contents: number; bytes: number }) => void;
  addContent: () => void;
  addBytes: (bytes: number) => void;
  /** Removes the line; to be called before something else is written. */
  clear: () => void;
  end: () => void;
}

const ON_TERMINAL_EVERY_MS = 200;
const ELSEWHERE_EVERY_MS = 10_000;
const CLEAR_LINE = '\r\u001b[K';
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Shows the progress on a stream. */
export function createProgress(stream: { write(text: string): unknown; isTTY?: boolean | undefined }): Progress {
  const isTerminal = stream.isTTY === true;
  const everyMs = isTerminal ? ON_TERMINAL_EVERY_MS : ELSEWHERE_EVERY_MS;
  let whole = { contents: 0, bytes: 0 };
  const done = { contents: 0, bytes: 0 };
  let shownMs = performance.now();
  let isShown = false;

  function line(): string {
    return `${count(done.contents)} of ${count(whole.contents)} contents, ${size(done.bytes)} of ${size(whole.bytes)}`;
  }

  function show(): void {
    const now = performance.now();
    if (now - shownMs < everyMs) return;
    shownMs = now;
    stream.write(isTerminal ? `${CLEAR_LINE}${line()}` : `${line()}\n`);
    isShown = isTerminal;
  }

  function clear(): void {
    if (isShown) stream.write(CLEAR_LINE);
    isShown = false;
  }

  return {
    begin: (all) => {
      whole = all;
    },
    addContent: () => {
      done.contents++;
      show();
    },
    addBytes: (bytes) => {
      done.bytes += bytes;
      show();
    },
    clear,
    end: clear,
  };
}

/** A number with separators of thousands. */
export function count(value: number): string {
  return value.toLocaleString('en');
}

/** A number of bytes in the largest unit that is not greater than it. */
export function size(bytes: number): string {
  const power = bytes === 0 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  return power === 0 ? `${bytes} bytes` : `${(bytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`;
}
