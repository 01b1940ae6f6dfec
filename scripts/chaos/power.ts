/**
 * `npm run chaos -- power [cuts] [seed]`: records real runs, some of them with failing file calls, and cuts the power at
 * random points of each: see test/power/. Where a promise is broken, it exits with code 1 and keeps the recording. With the
 * folder of the recording as another argument, it plays the same cut again.
 */
import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { record } from '../../test/power/cut.ts';
import { compileLibrary, makeScratch, MISSING } from '../../test/power/recorder.ts';

const PART = fileURLToPath(new URL('./power-part.js', import.meta.url));
/** How many cuts one process plays: it cannot release what it opens of SQLite (docs/decisions/0010). */
const CUTS_PER_PROCESS = 125;
const AT_ONCE = 2;
const MOST_CUTS = 100_000;
/** How many rounds of killed starts there are for each 100 cuts. */
const KILLS_PER_100 = 6;

/** The faults during a recording: the cuts are spread evenly over these recordings. */
const RUNS = [
  { name: 'nothing fails' },
  { name: 'calls fail at random', faults: 25 },
  { name: 'a sync of the folder fails', failSyncs: [{ pathEnd: '/files', nth: 4 }] },
  { name: 'many calls fail', faults: 80 },
  { name: 'a sync of the log fails', failSyncs: [{ pathEnd: '-wal', nth: 30 }] },
];

interface Part {
  folder: string;
  seed: number;
  kind: 'cuts' | 'kills';
  from: number;
  count: number;
}

/** Runs the cuts. @returns the exit code. */
export async function runPower(words: readonly string[]): Promise<number> {
  const [cuts = 1000, seed = Date.now() % 1_000_000] = words.filter((word) => /^\d+$/.test(word)).map(Number);
  const folder = words.find((word) => !/^\d+$/.test(word));
  if (MISSING !== undefined || cuts < 1 || cuts > MOST_CUTS) {
    process.stderr.write(`${MISSING ?? `Usage: npm run chaos -- power [cuts 1..${MOST_CUTS}] [seed] [folder]`}\n`);
    return 2;
  }
  if (folder !== undefined) return playParts([{ folder, seed, kind: 'cuts', from: 0, count: cuts }]);
  process.stdout.write(`power: ${cuts} cuts, seed ${seed}\n`);
  const scratch = await makeScratch();
  let broken = 0;
  try {
    compileLibrary(scratch);
    for (const [index, { name, ...wrong }] of RUNS.entries()) {
      const share = Math.floor(cuts / RUNS.length) + (index < cuts % RUNS.length ? 1 : 0);
      if (share === 0 || broken > 0) continue;
      const into = join(scratch, String(index));
      const { recording, faults } = await record({
        folder: into,
        library: join(scratch, 'record.so'),
        seed: seed + index,
        ...wrong,
      });
      const { calls } = recording.disk;
      process.stdout.write(`${name}: ${calls.length} file calls, ${faults} of them failed; ${share} cuts\n`);
      const kills = Math.ceil((share * KILLS_PER_100) / 100);
      broken = await playParts([
        ...split({ folder: into, seed, kind: 'cuts', from: 0, count: share }),
        ...split({ folder: into, seed, kind: 'kills', from: 0, count: kills }),
      ]);
      if (broken === 0) await rm(into, { recursive: true });
      else process.stdout.write(`once more: npm run chaos -- power ${share} ${seed} ${into}\n`);
    }
  } finally {
    if (broken === 0) await rm(scratch, { recursive: true, force: true });
  }
  process.stdout.write(broken === 0 ? '0 broken promises\n' : `seed ${seed}: promises are broken\n`);
  return broken === 0 ? 0 : 1;
}

function split(whole: Part): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < whole.count; at += CUTS_PER_PROCESS) {
    parts.push({ ...whole, from: at, count: Math.min(CUTS_PER_PROCESS, whole.count - at) });
  }
  return parts;
}

/** Runs some processes side by side. @returns 0 when all succeeded. */
async function playParts(parts: Part[]): Promise<number> {
  let broken = 0;
  async function playSome(): Promise<void> {
    for (let part = parts.shift(); part && broken === 0; part = parts.shift()) {
      const outcome = await playPart(part);
      // Counted after the wait: another process may have found something meanwhile.
      broken += outcome;
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, playSome));
  return broken;
}

function playPart({ folder, seed, kind, from, count }: Part): Promise<number> {
  const words = [folder, seed, kind, from, count].map(String);
  const child = spawn(process.execPath, ['--enable-source-maps', PART, ...words], { stdio: 'inherit' });
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code === 0 ? 0 : 1));
  });
}
