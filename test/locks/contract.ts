/** The suite that every locker passes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AcquireOptions, Lease, Locker } from '../../server/locks/locker.ts';
import { LockError } from '../../server/locks/locker.ts';

/** A locker of its own for one test. */
export interface TestLocker {
  locker: Locker;
  /** Records a new upload; its id. */
  addUpload(): Promise<string>;
  /** Makes the locker anew over the same uploads, as a restart does. */
  restart(): Promise<Locker>;
  dispose(): Promise<void>;
}

/** Longer than any test waits. */
const LONG_MS = 30_000;

/** Options that a test does not care about. */
export function options(fields: Partial<AcquireOptions> = {}): AcquireOptions {
  return { signal: new AbortController().signal, timeoutMs: LONG_MS, onAsked: () => {}, ...fields };
}

/** Runs the contract suite against the lockers that `open` makes. */
export function describeLockerContract(name: string, open: () => Promise<TestLocker>): void {
  describe(`locker contract: ${name}`, () => {
    let current: TestLocker;
    let locker: Locker;
    let id: string;

    beforeEach(async () => {
      current = await open();
      locker = current.locker;
      id = await current.addUpload();
    });

    afterEach(() => current.dispose());

    const refusal = (code: string) => ({ name: 'LockError', code });

    /** Acquires with a promise of the moment it is asked. */
    function acquireAskable(timeoutMs = LONG_MS) {
      let asked = 0;
      let onAsked = () => {};
      const firstAsked = new Promise<void>((resolve) => {
        onAsked = () => {
          asked++;
          resolve();
        };
      });
      const lease = locker.acquire(id, options({ timeoutMs, onAsked }));
      return { lease, firstAsked, asked: () => asked };
    }

    it('gives a free upload at once, and again after its release', async () => {
      const lease = await locker.acquire(id, options());
      expect(lease.uploadId).toBe(id);
      await lease.release();
      const again = await locker.acquire(id, options());
      expect(again.epoch).toBeGreaterThan(lease.epoch);
      await again.release();
    });

    it('gives leases on different uploads side by side', async () => {
      const other = await current.addUpload();
      const leases = await Promise.all([id, other].map((each) => locker.acquire(each, options())));
      expect(leases.map((lease) => lease.uploadId)).toEqual([id, other]);
    });

    it('asks the holder, and gives the lease on once it is released', async () => {
      const holder = acquireAskable();
      const held = await holder.lease;
      let taken: Lease | undefined;
      const taking = locker.acquire(id, options()).then((lease) => (taken = lease));
      await holder.firstAsked;
      expect(taken).toBeUndefined();
      await held.release();
      expect((await taking).epoch).toBeGreaterThan(held.epoch);
    });

    it('has one holder at a time, in the order they came, with epochs that grow', async () => {
      let holders = 0;
      const order: number[] = [];
      const epochs: number[] = [];
      await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const lease = await locker.acquire(id, options());
          expect(++holders).toBe(1);
          order.push(index);
          epochs.push(lease.epoch);
          await new Promise(setImmediate);
          holders--;
          await lease.release();
        }),
      );
      expect(order).toEqual(Array.from({ length: 50 }, (_, index) => index));
      expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
    });

    it('asks once for every waiter, also a holder whose waiters came before it held', async () => {
      const first = acquireAskable();
      const held = await first.lease;
      const second = acquireAskable();
      const third = acquireAskable();
      const fourth = acquireAskable();
      await first.firstAsked;
      expect(first.asked()).toBe(3);
      expect([second.asked(), third.asked(), fourth.asked()]).toEqual([0, 0, 0]);

      await held.release();
      const heldBySecond = await second.lease;
      expect(second.asked()).toBe(2);
      await heldBySecond.release();
      const heldByThird = await third.lease;
      expect(third.asked()).toBe(1);
      await heldByThird.release();
      await (await fourth.lease).release();
      expect([first.asked(), second.asked(), third.asked(), fourth.asked()]).toEqual([3, 2, 1, 0]);
    });

    it('lets a chain of take-overs reach the last, when each holder gives way', async () => {
      const giveWay = async () => {
        const { lease, firstAsked } = acquireAskable();
        const held = await lease;
        await firstAsked;
        await held.release();
      };
      const chain = Array.from({ length: 10 }, giveWay);
      const last = await locker.acquire(id, options());
      await Promise.all(chain);
      await last.release();
    });

    it('times out when the holder keeps it, and leaves the line', async () => {
      const holder = acquireAskable();
      const held = await holder.lease;
      await expect(locker.acquire(id, options({ timeoutMs: 20 }))).rejects.toMatchObject(refusal('timeout'));
      await expect(locker.acquire(id, options({ timeoutMs: 0 }))).rejects.toMatchObject(refusal('timeout'));
      expect(holder.asked()).toBe(2);
      await held.release();
      await (await locker.acquire(id, options())).release();
    });

    it('lets a waiter whose signal is aborted leave, and those behind it keep their places', async () => {
      const held = await locker.acquire(id, options());
      const leaver = new AbortController();
      const leaving = locker.acquire(id, options({ signal: leaver.signal }));
      const next = locker.acquire(id, options());
      leaver.abort();
      await expect(leaving).rejects.toMatchObject(refusal('aborted'));
      await held.release();
      await (await next).release();
    });

    it('refuses a signal that was aborted before', async () => {
      await expect(locker.acquire(id, options({ signal: AbortSignal.abort() }))).rejects.toMatchObject(
        refusal('aborted'),
      );
      await (await locker.acquire(id, options())).release();
    });

    it('keeps a lease whose signal is aborted later', async () => {
      const controller = new AbortController();
      const held = await locker.acquire(id, options({ signal: controller.signal }));
      controller.abort();
      await expect(locker.acquire(id, options({ timeoutMs: 20 }))).rejects.toMatchObject(refusal('timeout'));
      await held.release();
    });

    it('refuses an upload that is missing, and does not hold on to it', async () => {
      for (let attempt = 0; attempt < 2; attempt++) {
        const refused = locker.acquire('another', options());
        await expect(refused).rejects.toBeInstanceOf(LockError);
        await expect(refused).rejects.toMatchObject(refusal('missing'));
      }
    });

    it('takes a release twice as one', async () => {
      const first = await locker.acquire(id, options());
      const second = locker.acquire(id, options());
      await first.release();
      const held = await second;
      await first.release();
      await expect(locker.acquire(id, options({ timeoutMs: 20 }))).rejects.toMatchObject(refusal('timeout'));
      await held.release();
    });

    it('refuses waiters and new requests once closed; leases that are held stay', async () => {
      const held = await locker.acquire(id, options());
      const waiting = [locker.acquire(id, options()), locker.acquire(id, options())];
      await Promise.all([
        locker.close(),
        ...waiting.map((each) => expect(each).rejects.toMatchObject(refusal('closed'))),
      ]);
      await expect(locker.acquire(id, options())).rejects.toMatchObject(refusal('closed'));
      await held.release();
      await expect(locker.acquire(id, options())).rejects.toMatchObject(refusal('closed'));
      await locker.close();
    });

    it('gives a greater epoch after a restart than ever before', async () => {
      const before = await locker.acquire(id, options());
      locker = await current.restart();
      const after = await locker.acquire(id, options());
      expect(after.epoch).toBeGreaterThan(before.epoch);
    });
  });
}
