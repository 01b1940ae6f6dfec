/** Measures the peak memory of a service, from its start, under many uploads. */
import { sendBigFiles } from './big-files.ts';
import { inParallel, trickle } from './load.ts';
import { peakMemoryMib } from './processes.ts';
import { printTable } from './table.ts';
import { startTidemark } from './targets.ts';

const MIB = 1024 * 1024;

/** Runs the measurement. */
export async function benchMemory(folder: string): Promise<void> {
  const rows: string[][] = [];
  const fast = await startTidemark(folder);
  try {
    await sendBigFiles(folder, fast, { files: 64, sizeBytes: 16 * MIB, atOnce: true });
    rows.push(['64 uploads of 16 MiB at once', peakMemoryMib(fast.pid).toFixed(0), '150']);
  } finally {
    await fast.stop();
  }
  const slow = await startTidemark(folder);
  try {
    await inParallel(1000, 1000, () => trickle(slow, 15, 1000));
    rows.push(['1,000 uploads of 1 byte a second, for 15 s', peakMemoryMib(slow.pid).toFixed(0), '300']);
  } finally {
    await slow.stop();
  }
  printTable(['load', 'peak MiB', 'limit'], rows);
}
