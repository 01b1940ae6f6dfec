/** Leases over SQLite, and what is special to one process. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { Catalog, UploadRecord } from '../../server/catalog/catalog.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import { createLeases, type LeasesOptions } from '../../server/leases/create-leases.ts';
import type { Lease, Leases, TakeOptions } from '../../server/leases/leases.ts';
import { createProcessWake } from '../../server/leases/wake.ts';
import { SYSTEM } from '../../stores/surroundings.ts';
import { addUpload } from '../catalog/fixtures.ts';
import { createVirtualSurroundings } from '../harness/virtual-surroundings.ts';
import { describeLeasesContract, options } from './contract.ts';

const log = pino({ level: 'silent' });

type Taking = (options: TakeOptions) => Promise<Lease>;

function createOver(catalog: LeasesOptions['catalog'], surroundings = SYSTEM): Leases {
  return createLeases({ catalog, node: 'here', wake: createProcessWake(), surroundings, log });
}

describeLeasesContract('over SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-leases-'));
  const file = join(folder, 'catalog.sqlite');
  let catalog = await openNewCatalog({ file });
  return {
    leases: createOver(catalog),
    addUpload: () => addUpload(catalog),
    findUpload: (id) => catalog.findUpload(id),
    async restart() {
      await catalog.close();
      catalog = await openSqliteCatalog({ file });
      return createOver(catalog);
    },
    async dispose() {
      await catalog.close();
      await rm(folder, { recursive: true });
    },
  };
});

describe('leases in one process', () => {
  const SEEN = { id: 'id', state: 'receiving', epoch: 0, holder: 'here', phase: null } as UploadRecord;

  /** Epochs without a catalog; `next` gives them. */
  function counting(next?: () => Promise<number>, surroundings = SYSTEM): { acquire: Taking; leases: Leases } {
    let epoch = 0;
    const catalog: LeasesOptions['catalog'] = {
      findUpload: async () => ({ ...SEEN, epoch }),
      takeLease: async () => (epoch = await (next ?? (async () => epoch + 1))()),
      releaseLease: async () => undefined,
      isNodeAlive: async () => false,
      ask: async () => undefined,
      takeAsks: async () => [],
      isShared: false,
    } satisfies Partial<Catalog>;
    const leases = createOver(catalog, surroundings);
    return { leases, acquire: (given) => leases.take({ ...SEEN, epoch }, given) };
  }

  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

  /** One turn of the event loop, in which all promises that can be settled are. */
  const turn = () => new Promise(setImmediate);

  it('does nothing while requests wait', async () => {
    const { acquire } = counting();
    const held = await acquire(options());
    const waiting = Array.from({ length: 100 }, () => acquire(options()).then((lease) => lease.release('recovered')));
    await turn();
    const before = { idle: performance.eventLoopUtilization(), cpu: process.cpuUsage() };
    await new Promise((resolve) => setTimeout(resolve, 300));
    // Who polls keeps the loop busy, or wakes it again and again.
    expect(performance.eventLoopUtilization(before.idle).utilization).toBeLessThan(0.5);
    expect(process.cpuUsage(before.cpu).user).toBeLessThan(150_000);
    await held.release('recovered');
    await Promise.all(waiting);
  });

  it('keeps no timer and no listener of requests that wait no more', async () => {
    const { acquire, leases } = counting();
    const before = timers();
    const controller = new AbortController();
    const held = await acquire(options());
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
    const served = acquire(options({ signal }));
    const late = expect(acquire(options({ signal, timeoutMs: 5 }))).rejects.toMatchObject({
      code: 'timeout',
    });
    const closed = expect(acquire(options({ signal }))).rejects.toMatchObject({
      code: 'closed',
    });
    expect(timers()).toBe(before + 3);
    await late;
    await held.release('recovered');
    const lease = await served;
    await leases.close();
    await closed;
    await lease.release('recovered');
    expect(timers()).toBe(before);
    expect(listeners).toBe(0);
  });

  it('waits by the timers it is given', async () => {
    const surroundings = createVirtualSurroundings();
    const { acquire } = counting(async () => 1, surroundings);
    const held = await acquire(options());
    let ended: unknown;
    const waiting = acquire(options({ timeoutMs: 3_600_000 })).catch((error: unknown) => (ended = error));
    await surroundings.advance(3_599_999);
    expect(ended).toBeUndefined();
    await surroundings.advance(1);
    expect(ended).toMatchObject({ code: 'timeout' });
    await waiting;
    await held.release('recovered');
  });

  it('gives the place on when the epoch cannot be had', async () => {
    let attempts = 0;
    const { acquire } = counting(async () => {
      if (++attempts === 1) throw new Error('the catalog is away');
      return attempts;
    });
    const [first, second] = [acquire(options()), acquire(options())];
    await expect(first).rejects.toThrow('the catalog is away');
    const lease = await second;
    expect(lease.epoch).toBe(2);
    await lease.release('recovered');
  });

  it('is asked before its epoch has come only once it holds the lease', async () => {
    let give: ((epoch: number) => void) | undefined;
    const { acquire } = counting(() => new Promise((resolve) => (give = resolve)));
    let asked = 0;
    const first = acquire(options({ onAsked: () => asked++ }));
    const controller = new AbortController();
    const second = acquire(options({ signal: controller.signal }));
    await turn();
    expect(asked).toBe(0);
    give?.(1);
    const held = await first;
    expect(asked).toBe(1);

    // And one that is aborted when its turn has come gives the place on.
    await held.release('recovered');
    await turn();
    controller.abort();
    give?.(2);
    await expect(second).rejects.toMatchObject({ code: 'aborted' });
    const third = acquire(options());
    await turn();
    give?.(3);
    expect((await third).epoch).toBe(3);
  });

  it('survives a holder that releases while it is asked, and one that throws', async () => {
    const { acquire } = counting();
    let release = () => {};
    const first = await acquire(options({ onAsked: () => release() }));
    release = () => void first.release('recovered');
    const second = await acquire(options({ timeoutMs: 1000 }));
    await second.release('recovered');

    const failing = await acquire(
      options({
        onAsked: () => {
          throw new Error('out of order');
        },
      }),
    );
    const before = timers();
    await expect(acquire(options())).rejects.toThrow('out of order');
    expect(timers()).toBe(before);
    await failing.release('recovered');
    await (await acquire(options())).release('recovered');
  });
});
