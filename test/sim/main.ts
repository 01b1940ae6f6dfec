/** `npm run sim -- 100000` simulates so many seeds; `npm run sim -- --seed 123` replays one, with all that happens. */
import { simulate } from './simulate.ts';

const [first, second] = process.argv.slice(2);

async function replay(seed: number): Promise<void> {
  const { problem } = await simulate(seed, { tell: (line) => console.log(line) });
  console.log(problem === undefined ? `seed ${seed}: every promise was kept` : `seed ${seed}: ${problem}`);
  if (problem !== undefined) process.exitCode = 1;
}

async function search(from: number, seeds: number): Promise<void> {
  const beganAt = performance.now();
  let [broken, steps, files] = [0, 0, 0];
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = await simulate(seed);
    steps += outcome.steps;
    files += outcome.files;
    if (outcome.problem === undefined) continue;
    broken++;
    console.log(`seed ${seed}: ${outcome.problem.split('\n')[0]}`);
  }
  const seconds = (performance.now() - beganAt) / 1000;
  console.log(`${seeds} seeds, ${steps} steps, ${files} files in ${seconds.toFixed(1)} s: ${broken} broke a promise`);
  if (broken > 0) process.exitCode = 1;
}

if (first === '--seed') await replay(Number(second));
else await search(Number(second ?? 1), Number(first ?? 500));
