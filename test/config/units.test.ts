import { describe, expect, test } from 'vitest';
import { parseBytes, parseDuration } from '../../server/config/units.ts';

describe('parseBytes', () => {
  test.each([
    ['0', 0],
    ['1048576', 1_048_576],
    ['512B', 512],
    ['500MB', 500_000_000],
    ['500 mb', 500_000_000],
    ['10GiB', 10 * 2 ** 30],
    ['1.5KiB', 1536],
    ['0.3KiB', 307],
    ['10G', 10 * 2 ** 30],
    ['2TiB', 2 * 2 ** 40],
  ])('reads %j as %d bytes', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  test.each(['', '-1', 'GiB', '1e9', '0x10', '10 GiB x', '9007199254740992', '9000TiB', '1,5GiB'])(
    'refuses %j',
    (text) => {
      expect(parseBytes(text)).toBeUndefined();
    },
  );
});

describe('parseDuration', () => {
  test.each([
    ['250ms', 250],
    ['10s', 10_000],
    ['1.5s', 1500],
    ['30m', 1_800_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['2 H', 7_200_000],
    ['0s', 0],
  ])('reads %j as %d ms', (text, durationMs) => {
    expect(parseDuration(text)).toBe(durationMs);
  });

  test.each(['', '24', '-1s', 'h', '1w', '10 sec', '1h30m', '1e3s', '99999999999999999d'])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});
