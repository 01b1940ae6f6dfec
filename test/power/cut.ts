/** One recording, cut at many points. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkAfterCut } from './check.ts';
import { type Luck, mix, type RecordedDisk, replay } from './disk.ts';
import { DATA_DIR, startRecorder } from './recorder.ts';
import { readCalls } from './recording.ts';
import { playScript, type ScriptOptions } from './script.ts';
import type { Script } from './story.ts';

/** What was told, beside the log. */
const SCRIPT = 'script.json';

export interface Cut {
  /** Before which call the power goes. */
  index: number;
  luck: Luck;
  seed: number;
}

export interface Recording {
  disk: RecordedDisk;
  /** Calls that gave a file another name, or took one. */
  namings: number[];
  script: Script;
}

export function openRecording(log: Buffer, root: string, script: Script): Recording {
  const calls = readCalls(log);
  const namings = calls.flatMap(({ kind }, index) => (['link', 'rename', 'unlink'].includes(kind) ? [index] : []));
  return { disk: replay(calls, root), namings, script };
}

/** How many calls after one on a name most is at stake: until the catalog's log is synced. */
const AFTER_NAMING = 8;

/**
 * The nth cut of a seed: anywhere, every other time soon after a name was given or taken; with
 * none, all or some of what was not synced.
 */
export function chooseCut({ disk, namings }: Recording, seed: number, number: number): Cut {
  const drawn = mix(seed, number, 1);
  const roll = mix(seed, number, 2);
  const naming = namings[roll % Math.max(1, namings.length)];
  const near = (naming ?? 0) + 1 + ((roll >>> 16) % AFTER_NAMING);
  return {
    index: number % 2 === 0 ? Math.min(near, disk.calls.length) : roll % (disk.calls.length + 1),
    luck: (['none', { seed: drawn }, { seed: drawn }, 'none', 'all'] as const)[number % 5] ?? 'none',
    seed: drawn,
  };
}

/** Broken promises after one cut. */
export async function playCut({ disk, script }: Recording, cut: Cut, scratch: string): Promise<string[]> {
  const place = await mkdtemp(join(scratch, 'cut-'));
  try {
    await disk.leave(cut.index, cut.luck, place);
    let rolls = 0;
    return await checkAfterCut({
      dataDir: join(place, DATA_DIR),
      stories: script.stories,
      time: disk.calls[cut.index - 1]?.time ?? 0,
      dice: (below) => mix(cut.seed, rolls++, 3) % below,
    });
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** Cuts that are played side by side: each waits for its service now and then. */
const AT_ONCE = 3;

export interface PlayOptions {
  recording: Recording;
  seed: number;
  /** How many, and the number of the first. */
  cuts: number;
  from?: number;
  /** None begins after so long; what is not played by then is a problem, too. */
  budgetMs?: number;
  scratch: string;
}

/** Plays a run of cuts, and ends it at the first that breaks a promise: what was broken, and by which cut. */
export async function playCuts({ recording, seed, cuts, from = 0, budgetMs, scratch }: PlayOptions): Promise<string[]> {
  const problems: string[] = [];
  const end = budgetMs === undefined ? Infinity : performance.now() + budgetMs;
  let next = from;
  async function play(): Promise<void> {
    while (next < from + cuts && problems.length === 0 && performance.now() < end) {
      const number = next++;
      const cut = chooseCut(recording, seed, number);
      const broken = await playCut(recording, cut, scratch);
      const which = `cut ${number}, before call ${cut.index} with ${JSON.stringify(cut.luck)}`;
      problems.push(...broken.map((text) => `${which}: ${text}`));
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, play));
  if (problems.length === 0 && next < from + cuts) {
    problems.push(`${next - from} of ${cuts} cuts were played in ${budgetMs} ms`);
  }
  return problems;
}

export interface RecordOptions extends ScriptOptions {
  folder: string;
  library: string;
  env?: NodeJS.ProcessEnv;
}

/** Plays the script once, recorded; the log and what was told stay in the folder. */
export async function record({
  folder,
  library,
  env = {},
  ...options
}: RecordOptions): Promise<{ recording: Recording; faults: number }> {
  await mkdir(folder, { recursive: true });
  const recorder = await startRecorder({ folder, library, env });
  let faults: number;
  let script: Script;
  try {
    script = await playScript(recorder, options);
  } catch (error) {
    const output = recorder.service.output().slice(-4000);
    throw new Error(`the script came to no end, after ${recorder.faults()} faults:\n${output}`, { cause: error });
  } finally {
    faults = recorder.faults();
    await recorder.stop();
  }
  await writeFile(join(folder, SCRIPT), JSON.stringify(script));
  return { recording: openRecording(await recorder.log(), recorder.root, script), faults };
}

/** What `record` has left in a folder. */
export async function readRecording(folder: string): Promise<Recording> {
  const script = JSON.parse(await readFile(join(folder, SCRIPT), 'utf8')) as Script;
  return openRecording(await readFile(join(folder, 'log')), join(folder, 'root'), script);
}
