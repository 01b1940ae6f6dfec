/** The entry of the commands for an administrator of a stopped service: `tidemark admin <command>`. */
import { StoreError } from '../../stores/store.ts';
import { CatalogError } from '../catalog/catalog.ts';
import { makeFilesPrivate } from '../private-files.ts';
import { move, type Moved } from './move.ts';
import { count, createProgress, size } from './progress.ts';
import { type MoveSettings, readMoveSettings, RefusedError } from './settings.ts';
import { type Closers, type Ends, openEnds } from './target.ts';

/** `refused`: sysexits(3), EX_CONFIG, as the service uses it. */
const EXIT = { done: 0, failed: 1, refused: 78, interrupted: 130 } as const;
const USAGE =
  'usage: admin move (--to-env FILE | --to-database URL | --to-database-file FILE) [--to-store STORE] [--strict] [--sizes-only]';
const AGAIN = 'Nothing was changed at the source. Run the same command again: it goes on from here.';

async function main([command, ...args]: readonly string[]): Promise<number> {
  if (command !== 'move') throw new RefusedError(USAGE);
  makeFilesPrivate();
  const settings = readMoveSettings(args);
  if (settings.showsPassword)
    complain(
      'Everyone on this machine can read the password in the list of processes: --to-env and --to-database-file keep it out of there.',
    );
  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interruption.abort(new Error('interrupted')));
  }
  const closers: Closers = [];
  try {
    return await run(settings, closers, interruption.signal);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    complain(`Interrupted. ${AGAIN}`);
    return EXIT.interrupted;
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

async function run(settings: MoveSettings, closers: Closers, signal: AbortSignal): Promise<number> {
  let ends: Ends;
  try {
    ends = await openEnds(settings, closers);
  } catch (error) {
    if (error instanceof CatalogError || error instanceof StoreError)
      throw new RefusedError(`Nothing was moved: ${error.message}.`, error);
    throw error;
  }
  if (ends.isResumed) say('An earlier run of this move is continued.');
  const progress = createProgress(process.stderr);
  try {
    const moved = await move(ends, settings, { progress, tell: complain, signal });
    progress.end();
    for (const line of summaryOf(moved)) say(line);
    return moved.damaged > 0 ? EXIT.failed : EXIT.done;
  } catch (error) {
    progress.clear();
    if (signal.aborted || !(error instanceof CatalogError || error instanceof StoreError)) throw error;
    const why = error.code === 'full' ? 'there is no room left: ' : '';
    complain(`The move stopped: ${why}${error.message}. ${AGAIN}`);
    return EXIT.failed;
  }
}

function summaryOf({ files, contents, bytes, damaged, unfinished, stays, isWhole }: Moved): string[] {
  const good = `${count(contents - damaged)} of ${count(contents)} contents were verified by MD5 and size`;
  const lines = [`${count(files)} files, ${size(bytes)}: ${good}.`];
  if (damaged > 0)
    lines.push(
      `${count(damaged)} contents are damaged, and were not copied: their files are named above, or by the run before.`,
    );
  if (!isWhole)
    return [
      ...lines,
      'The move has not come to its end (--strict). Mend them and run it again, or run it without --strict.',
    ];
  if (damaged > 0) lines.push('Their files stay listed; the next upload of the same bytes heals them.');
  if (unfinished > 0) {
    lines.push(
      stays
        ? `${count(unfinished)} unfinished uploads go along.`
        : `${count(unfinished)} unfinished uploads were ended (410): their clients begin anew.`,
    );
  }
  if (stays) lines.push('Both catalogs name the same bytes now: do not start the service on the old one again.');
  return [...lines, 'Start the service with the settings of the target.'];
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function complain(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}

/** Replaces control characters: clients choose names, which must not control the terminal. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what it is there to find
  return text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, ' ');
}

// Without a listener, an error would end the process: the move continues although nobody reads its output.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
let exitCode: number = EXIT.failed;
try {
  exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof RefusedError) exitCode = EXIT.refused;
  complain(error instanceof Error ? error.message : String(error));
}
// Exits once the output is written, as pipes are written asynchronously.
process.stdout.write('', () => process.exit(exitCode));
