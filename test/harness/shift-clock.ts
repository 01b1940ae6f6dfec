/**
 * Preloaded into a process, shifts its clock by `?ms=`, or by the milliseconds in the file `?file=`, which
 * is read at the start and again at every SIGUSR2. See `shiftedClock` and `ShiftingClock`.
 */
import { readFileSync } from 'node:fs';

const { searchParams } = new URL(import.meta.url);
const file = searchParams.get('file');
let shiftMs = Number(searchParams.get('ms'));
const RealDate = Date;

class ShiftedDate extends RealDate {
  constructor(...given: [] | ConstructorParameters<typeof Date>) {
    if (given.length === 0) super(RealDate.now() + shiftMs);
    else super(...(given as ConstructorParameters<typeof Date>));
  }

  static override now(): number {
    return RealDate.now() + shiftMs;
  }
}

if (file !== null) {
  const read = (): void => {
    shiftMs = Number(readFileSync(file, 'utf8'));
  };
  read();
  process.on('SIGUSR2', () => {
    read();
    // Tells the test that the clock is shifted by now.
    process.stdout.write(`the clock is shifted by ${shiftMs} ms\n`);
  });
}

globalThis.Date = ShiftedDate as typeof Date;
