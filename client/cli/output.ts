/**
 * What a run prints. Results go to stdout (addresses, tables, JSON lines), everything
 * for the eyes to stderr, so that stdout can always be piped on.
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
  /** A line of the result. Control characters are the caller's business. */
  result(line: string): void;
  /** One object of a `--json` result. */
  record(value: unknown): void;
  /** A line for the eyes; not with --quiet. */
  say(text: string): void;
  /** A line that --quiet does not hold back. */
  complain(text: string): void;
  /** Whether the reader of stdout is gone (`tidemark list | head`). */
  stdoutClosed(): boolean;
  /** Something that redraws itself below the lines: cleared before a line, drawn again after it. */
  attach(display: { clear: () => void; draw: () => void } | null): void;
}

/** Why results could not be written; null where they were, or their reader has gone. */
let failure: Error | null = null;

export function createOutput(modes: OutputModes): Output {
  let display: { clear: () => void; draw: () => void } | null = null;
  let closed = false;
  // A reader that has gone is neither a crash nor a reason to stop an upload.
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

/** What kept results from being written, other than a reader that went away. */
export function stdoutFailure(): Error | null {
  return failure;
}

/** Lets what was written leave before the process does: pipes are written in the background. */
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
