/** Measures the time from the last byte to the answer: it must not grow with the file's size. */
import { sendFile } from './load.ts';
import { median, printTable } from './table.ts';
import { startTidemark } from './targets.ts';

const MIB = 1024 * 1024;
const SIZES = [1, 100, 1024];
const ROUNDS = 5;
/** The wait before the last byte: long enough for all other bytes to arrive, so that it is sent alone. */
const PAUSE_MS = 500;

/** Runs the measurement. */
export async function benchLastByte(folder: string): Promise<void> {
  const target = await startTidemark(folder);
  try {
    const alone = new Map<number, number[]>();
    const inStream = new Map<number, number[]>();
    await sendFile(target, MIB);
    for (let round = 0; round < ROUNDS; round++) {
      for (const size of SIZES) {
        const paused = await sendFile(target, size * MIB, PAUSE_MS);
        alone.set(size, [...(alone.get(size) ?? []), paused.afterLastByteMs]);
        const streamed = await sendFile(target, size * MIB);
        inStream.set(size, [...(inStream.get(size) ?? []), streamed.afterLastByteMs]);
      }
    }
    const base = median(alone.get(SIZES[0] ?? 1) ?? []);
    printTable(
      ['size', 'last byte sent alone: ms to 204', 'ratio to 1 MiB', 'sent at full speed: ms to 204'],
      SIZES.map((size) => {
        const ms = median(alone.get(size) ?? []);
        return [`${size} MiB`, ms.toFixed(2), (ms / base).toFixed(2), median(inStream.get(size) ?? []).toFixed(2)];
      }),
    );
  } finally {
    await target.stop();
  }
}
