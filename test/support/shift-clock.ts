/** Preloaded into a process, makes its clock wrong by `?ms=`: see `shiftedClock`. */
const shiftMs = Number(new URL(import.meta.url).searchParams.get('ms'));
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

globalThis.Date = ShiftedDate as typeof Date;
