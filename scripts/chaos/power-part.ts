/** Plays some power cuts of a recording, or some rounds of killed starts, in a process of its own; see power.ts. */
import { dirname, join } from 'node:path';
import { playCuts, readRecording } from '../../test/power/cut.ts';
import { playKills } from '../../test/power/kills.ts';
import { makeScratch } from '../../test/power/recorder.ts';
import { rm } from 'node:fs/promises';

const [folder, seed, kind, from, count] = process.argv
  .slice(2)
  .map((word, index) => (index === 0 || index === 2 ? word : Number(word))) as [string, number, string, number, number];
const recording = await readRecording(folder);
const scratch = await makeScratch();
const problems: string[] = [];
try {
  if (kind === 'cuts') problems.push(...(await playCuts({ recording, seed, cuts: count, scratch, from })));
  else {
    const library = join(dirname(folder), 'record.so');
    for (let number = from; number < from + count && problems.length === 0; number++) {
      problems.push(...(await playKills({ recording, seed, number, scratch, library })));
    }
  }
} finally {
  await rm(scratch, { recursive: true, force: true });
}
for (const problem of problems) process.stdout.write(`PROBLEM: ${problem}\n`);
process.stdout.write(`${kind} ${from} to ${from + count - 1}: ${problems.length} problems\n`);
process.exit(problems.length > 0 ? 1 : 0);
