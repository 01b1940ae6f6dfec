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
export function refuseSameNames(found: readonly Pick<FoundPath, 'path' | 'name' | 'error'>[]): void {
  const paths = new Map<string, string>();
  for (const { path, name, error } of found) {
    // It is not sent.
    if (error !== undefined) continue;
    const kept = keptName(name);
    const other = paths.get(kept);
    // A file that was given twice replaces nothing: its bytes are there.
    if (other !== undefined && resolve(other) !== resolve(path)) {
      throw new UsageError(
        `${other} and ${path} would both be called ${kept}: with --replace, one would replace the other. ` +
          'Leave out --replace, or upload them in several runs.',
      );
    }
    paths.set(kept, path);
  }
}
