import { expect, test } from 'vitest';
import { callWithRetries } from '../../stores/s3/retry.ts';

test('a call whose time is over before it begins leaves no timer behind', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  const signal = AbortSignal.abort(new Error('stopped'));
  const called = callWithRetries(() => Promise.reject(new Error('called')), { timeoutMs: 3_600_000, signal });
  await expect(called).rejects.toThrow('stopped');
  expect(timers()).toBe(before);
});
