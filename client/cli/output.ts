/**
 * What a run prints. Results (addresses, tables, JSON lines) go to stdout, messages and
 * progress to stderr, so that stdout can always be piped.
 */
import { printable } from './format.ts';
import { showable } from './plain-text.ts';

export interface OutputModes {
  /** One JSON object per line on stdout. */
  json: boolean;
  /** Errors and results only. */
  quiet: boolean;
}

export interface Output {
  readonly modes: OutputModes;
  /** Prints a line of the result. The caller has to replace control characters (`printable`). */
  result(line: string): void;
  /** Prints one object of a `--json` result. */
  record(value: unknown): void;
  /** Prints a message to stderr, unless `--quiet` is set. */
  say(text: string): void;
  /** Prints an error to stderr, also with `--quiet`. */
  complain(text: string): void;
  /** Whether the reader of stdout is gone (`tidemark list | head`). */
  stdoutClosed(): boolean;
  /** Attaches a progress line, which is cleared before each printed line and drawn again after it; null detaches it. */
  attach(display: { clear: () => void; draw: () => void } | null): void;
}

/** Why results could not be written; null where they were, or where the reader closed the pipe. */
let failure: Error | null = null;

export function createOutput(modes: OutputModes): Output {
  let display: { clear: () => void; draw: () => void } | null = null;
  let closed = false;
  // A reader that closes the pipe must neither crash the command nor stop an upload.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    closed = true;
    if (error.code !== 'EPIPE') failure ??= error;
  });
  process.stderr.on('error', () => {});

  function line(stream: NodeJS.WriteStream, text: string): void {
    display?.clear();
    stream.write(`${text}\n`);
    display?.draw();
  }

  return {
    modes,
    result: (text) => line(process.stdout, text),
    record: (value) => line(process.stdout, JSON.stringify(value)),
    say: (text) => {
      if (!modes.quiet) line(process.stderr, showable(printable(text)));
    },
    complain: (text) => line(process.stderr, showable(printable(text))),
    stdoutClosed: () => closed,
    attach: (next) => {
      display = next;
    },
  };
}

/** Why results could not be written, other than a reader that closed the pipe; null where they could. */
export function stdoutFailure(): Error | null {
  return failure;
}

/** Waits until all output is written, before the process exits: Node writes to pipes asynchronously. */
export async function flushOutput(): Promise<void> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) =>
        new Promise<void>((resolve) => {
          if (stream.destroyed || !stream.writable) resolve();
          else stream.write('', () => resolve());
        }),
    ),
  );
}
