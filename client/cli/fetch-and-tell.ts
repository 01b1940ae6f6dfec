/** Downloads one file to a path with its progress shown, and says so at the end. */
import { basename } from 'node:path';
import type { Context } from './context.ts';
import { EXIT } from './errors.ts';
import { type Fetched, fetchToFile, keptFor } from './fetch-to-file.ts';
import { formatDuration, formatSize, printable } from './format.ts';
import { createProgress } from './progress.ts';

/** How a download went. `words`: size and duration, for people. */
export interface Told {
  words: string;
  facts: { size: number; receivedBytes: number; durationMs: number };
}

/**
 * Downloads to a path, resumed and verified as `fetchToFile` does it.
 *
 * @param tell - called at the end; says what was downloaded, and makes the record for `--json`.
 * @returns the command's exit code.
 */
export async function fetchAndTell(
  context: Context,
  fetched: Fetched,
  target: string,
  options: Parameters<typeof fetchToFile>[2],
  tell: (told: Told) => Record<string, unknown>,
): Promise<number> {
  const progress = createProgress(context.output, { files: 1, bytes: fetched.size ?? 0 });
  const startedAt = performance.now();
  try {
    const { receivedBytes, size } = await fetchToFile(fetched, target, options, context, progress);
    progress.stop();
    const durationMs = Math.round(performance.now() - startedAt);
    const words = `${formatSize(size)} in ${formatDuration(durationMs)}`;
    tellFile(context, target, tell({ words, facts: { size, receivedBytes, durationMs } }));
    return EXIT.done;
  } catch (error) {
    progress.stop();
    const code = keptFor(error, basename(target), context);
    if (code === null) throw error;
    return code;
  } finally {
    progress.stop();
  }
}

/** Prints the path of a file that is there now, or its record with `--json`. */
export function tellFile({ output }: Context, target: string, record: Record<string, unknown>): void {
  if (output.modes.json) output.record(record);
  else output.result(printable(target));
}
