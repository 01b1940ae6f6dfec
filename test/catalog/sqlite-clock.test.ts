/** The two clocks, moved by hand. */
import { expect, test } from 'vitest';
import type { ClockNews } from '../../server/catalog/catalog.ts';
import { type Clock, type ClockSource, createClock } from '../../server/catalog/sqlite/clock.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START_MS = Date.UTC(2026, 0, 1);

/** A machine whose time is what the test says. */
function machine() {
  let ranMs = 0;
  let offMs = START_MS;
  let bootId = 'first';
  let uptimeMs = 0;
  return {
    run: (ms: number) => {
      ranMs += ms;
      uptimeMs += ms;
    },
    sleep: (ms: number) => {
      offMs += ms;
      uptimeMs += ms;
    },
    set: (byMs: number) => {
      offMs += byMs;
    },
    /** Off for so long. */
    reboot: (ms: number) => {
      offMs += ms;
      bootId += ', another';
      uptimeMs = 0;
    },
    source: (): ClockSource => {
      // Each process counts from its own start.
      const begunMs = ranMs;
      const boot = bootId;
      return {
        wallMs: () => offMs + ranMs,
        elapsedMs: () => ranMs - begunMs,
        uptimeMs: () => uptimeMs,
        bootId: boot,
      };
    },
  };
}

type Machine = ReturnType<typeof machine>;

function start(on: Machine, kept?: string): { clock: Clock; news: ClockNews[] } {
  const news: ClockNews[] = [];
  const clock = createClock({
    source: on.source(),
    kept,
    believeAfterMs: 7 * DAY_MS,
    tell: (what) => void news.push(what),
  });
  return { clock, news };
}

test('both clocks advance together, and no news is reported', () => {
  const on = machine();
  const { clock, news } = start(on);
  on.run(DAY_MS);
  expect([clock.earliest(), clock.latest(), clock.wall(), clock.steady()]).toEqual(
    Array.from({ length: 4 }, () => START_MS + DAY_MS),
  );
  expect(news).toEqual([]);
});

test('a jump ahead ends nothing, and is reported once in each direction', () => {
  const on = machine();
  const { clock, news } = start(on);
  const expiresAt = clock.latest() + DAY_MS;
  on.set(25 * HOUR_MS);
  for (let look = 0; look < 3; look++) expect(clock.earliest()).toBeLessThan(expiresAt);
  // What is begun meanwhile lives by the later clock.
  expect(clock.latest()).toBe(START_MS + 25 * HOUR_MS);
  on.run(120_000);
  on.set(-25 * HOUR_MS);
  expect(clock.earliest()).toBe(START_MS + 120_000);
  expect(news).toEqual([
    { kind: 'jump', byMs: 25 * HOUR_MS },
    { kind: 'jump', byMs: -25 * HOUR_MS },
  ]);
  on.run(DAY_MS);
  expect(clock.earliest()).toBeGreaterThan(expiresAt);
});

test('a jump back: an upload begun meanwhile has its whole life after it', () => {
  const on = machine();
  const { clock } = start(on);
  on.set(-25 * HOUR_MS);
  const expiresAt = clock.latest() + DAY_MS;
  expect(clock.earliest()).toBe(START_MS - 25 * HOUR_MS);
  on.set(25 * HOUR_MS);
  expect(clock.earliest()).toBeLessThan(expiresAt - DAY_MS + 1);
});

test('small steps of a time server are no jump; their sum is one', () => {
  const on = machine();
  const { clock, news } = start(on);
  on.set(3000);
  clock.keep();
  expect(news).toEqual([]);
  on.set(3000);
  clock.keep();
  expect(news).toEqual([{ kind: 'jump', byMs: 6000 }]);
});

test('a new time that holds is believed in the end, so that nothing stays for ever', () => {
  const on = machine();
  const { clock, news } = start(on);
  on.set(365 * DAY_MS);
  clock.keep();
  on.run(7 * DAY_MS - 1);
  expect(clock.earliest()).toBe(START_MS + 7 * DAY_MS - 1);
  on.run(1);
  expect(clock.earliest()).toBe(START_MS + 372 * DAY_MS);
  expect(news.map(({ kind }) => kind)).toEqual(['jump', 'believed']);
  on.run(1000);
  expect(clock.earliest()).toBe(clock.latest());
});

test('a sleeping machine lets nothing expire', () => {
  const on = machine();
  const { clock } = start(on);
  on.sleep(3 * DAY_MS);
  expect(clock.earliest()).toBe(START_MS);
  expect(clock.latest()).toBe(START_MS + 3 * DAY_MS);
});

test('a start while the clock is ahead continues from what the machine has counted', () => {
  const on = machine();
  const kept = start(on).clock.keep();
  on.run(HOUR_MS);
  on.set(25 * HOUR_MS);
  const { clock, news } = start(on, kept);
  expect(news).toEqual([{ kind: 'apart', byMs: 25 * HOUR_MS }]);
  expect(clock.earliest()).toBe(START_MS + HOUR_MS);
  on.set(-25 * HOUR_MS);
  expect(clock.earliest()).toBe(clock.latest());
});

test('the time after which a jump is believed is counted over restarts', () => {
  const on = machine();
  const first = start(on).clock;
  on.set(30 * DAY_MS);
  let kept = first.keep();
  for (let day = 1; day <= 7; day++) {
    on.run(DAY_MS);
    const { clock } = start(on, kept);
    kept = clock.keep();
    expect(clock.earliest() > START_MS + 30 * DAY_MS).toBe(day === 7);
  }
});

test('the time for which a machine was off shortens no life', () => {
  const on = machine();
  const kept = start(on).clock.keep();
  on.reboot(2 * DAY_MS);
  on.run(60_000);
  const { clock } = start(on, kept);
  expect(clock.earliest()).toBe(START_MS);
  expect(clock.latest()).toBe(START_MS + 2 * DAY_MS + 60_000);
});

test('nothing kept, or nothing that can be read: the wall clock counts', () => {
  for (const kept of [undefined, '', '{}', 'null', '{"uptimeMs":null}']) {
    const { clock, news } = start(machine(), kept);
    expect(clock.earliest()).toBe(START_MS);
    expect(news).toEqual([]);
  }
});
