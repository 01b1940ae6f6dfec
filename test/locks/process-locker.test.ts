import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { createVirtualSurroundings } from '../harness/virtual-surroundings.ts';
import { createProcessLocker } from '../../server/locks/process-locker.ts';
import { addUpload } from '../catalog/fixtures.ts';
import { describeLockerContract, options } from './contract.ts';

describeLockerContract('in one process, epochs from SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-locks-'));
  const file = join(folder, 'catalog.sqlite');
  let catalog = await openSqliteCatalog({ file });
  const createLocker = () => createProcessLocker({ nextEpoch: catalog.nextEpoch });
  return {
    locker: createLocker(),
    addUpload: () => addUpload(catalog),
    async restart() {
      await catalog.close();
      catalog = await openSqliteCatalog({ file });
      return createLocker();
    },
    async dispose() {
      await catalog.close();
      await rm(folder, { recursive: true });
    },
  };
});

describe('the locker in one process', () => {
  /** Epochs without a catalog. */
  function counting() {
    let epoch = 0;
    return createProcessLocker({ nextEpoch: async () => ++epoch });
  }

  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

  /** One turn of the event loop, in which all promises that can be settled are. */
  const turn = () => new Promise(setImmediate);

  it('does nothing while requests wait', async () => {
    const locker = counting();
    const held = await locker.acquire('id', options());
    const waiting = Array.from({ length: 100 }, () => locker.acquire('id', options()).then((lease) => lease.release()));
    await turn();
    const before = { idle: performance.eventLoopUtilization(), cpu: process.cpuUsage() };
    await new Promise((resolve) => setTimeout(resolve, 300));
    // A locker that polls keeps the loop busy, or wakes it again and again.
    expect(performance.eventLoopUtilization(before.idle).utilization).toBeLessThan(0.5);
    expect(process.cpuUsage(before.cpu).user).toBeLessThan(150_000);
    await held.release();
    await Promise.all(waiting);
  });

  it('keeps no timer and no listener of requests that wait no more', async () => {
    const locker = counting();
    const before = timers();
    const controller = new AbortController();
    const held = await locker.acquire('id', options());
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const served = locker.acquire('id', options({ signal }));
    const late = expect(locker.acquire('id', options({ signal, timeoutMs: 5 }))).rejects.toMatchObject({
      code: 'timeout',
    });
    const closed = expect(locker.acquire('id', options({ signal }))).rejects.toMatchObject({
      code: 'closed',
    });
    expect(timers()).toBe(before + 3);
    await late;
    await held.release();
    const lease = await served;
    await locker.close();
    await closed;
    await lease.release();
    expect(timers()).toBe(before);
    expect(listeners).toBe(0);
  });

  it('waits by the timers it is given', async () => {
    const surroundings = createVirtualSurroundings();
    const locker = createProcessLocker({ nextEpoch: async () => 1, surroundings });
    const held = await locker.acquire('id', options());
    let ended: unknown;
    const waiting = locker.acquire('id', options({ timeoutMs: 3_600_000 })).catch((error: unknown) => (ended = error));
    await surroundings.advance(3_599_999);
    expect(ended).toBeUndefined();
    await surroundings.advance(1);
    expect(ended).toMatchObject({ code: 'timeout' });
    await waiting;
    await held.release();
  });

  it('gives the place on when the epoch cannot be had', async () => {
    let attempts = 0;
    const locker = createProcessLocker({
      nextEpoch: async () => {
        if (++attempts === 1) throw new Error('the catalog is away');
        return attempts;
      },
    });
    const [first, second] = [locker.acquire('id', options()), locker.acquire('id', options())];
    await expect(first).rejects.toThrow('the catalog is away');
    const lease = await second;
    expect(lease.epoch).toBe(2);
    await lease.release();
  });

  it('is asked before its epoch has come only once it holds the lease', async () => {
    let give: ((epoch: number) => void) | undefined;
    const locker = createProcessLocker({ nextEpoch: () => new Promise((resolve) => (give = resolve)) });
    let asked = 0;
    const first = locker.acquire('id', options({ onAsked: () => asked++ }));
    const controller = new AbortController();
    const second = locker.acquire('id', options({ signal: controller.signal }));
    await turn();
    expect(asked).toBe(0);
    give?.(1);
    const held = await first;
    expect(asked).toBe(1);

    // And one that is aborted when its turn has come gives the place on.
    await held.release();
    await turn();
    controller.abort();
    give?.(2);
    await expect(second).rejects.toMatchObject({ code: 'aborted' });
    const third = locker.acquire('id', options());
    await turn();
    give?.(3);
    expect((await third).epoch).toBe(3);
  });

  it('survives a holder that releases while it is asked, and one that throws', async () => {
    const locker = counting();
    let release = () => {};
    const first = await locker.acquire('id', options({ onAsked: () => release() }));
    release = () => void first.release();
    const second = await locker.acquire('id', options({ timeoutMs: 1000 }));
    await second.release();

    const failing = await locker.acquire(
      'id',
      options({
        onAsked: () => {
          throw new Error('out of order');
        },
      }),
    );
    const before = timers();
    await expect(locker.acquire('id', options())).rejects.toThrow('out of order');
    expect(timers()).toBe(before);
    await failing.release();
    await (await locker.acquire('id', options())).release();
  });
});
