/** Files of one run that get the same name in the catalog: with `--replace`, each would replace the one before. */
import { resolve } from 'node:path';
import { keptName } from '../core/naming.ts';
import type { FoundPath } from './collect-paths.ts';
import { UsageError } from './errors.ts';

/**
 * Refuses files of which one would replace another. Their names are compared as the service keeps them.
 *
 * @throws UsageError that names the first two.
 */
export function refuseSameNames(found: readonly Pick<FoundPath, 'path' | 'bytes' | 'name' | 'error'>[]): void {
  const paths = new Map<string, { path: string; place: string }>();
  for (const { path, bytes, name, error } of found) {
    // It is not sent.
    if (error !== undefined) continue;
    const kept = keptName(name);
    // Of paths that are not UTF-8, several have the same text.
    const place = bytes?.toString('latin1') ?? resolve(path);
    const other = paths.get(kept);
    // A file that was given twice replaces nothing: its bytes are there.
    if (other !== undefined && other.place !== place) {
      throw new UsageError(
        `${other.path} and ${path} would both be called ${kept}: with --replace, one would replace the other. ` +
          'Leave out --replace, or upload them in several runs.',
      );
    }
    paths.set(kept, { path, place });
  }
}
