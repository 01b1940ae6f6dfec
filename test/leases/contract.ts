/** The suite that leases pass, whatever their catalog. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UploadRecord } from '../../server/catalog/catalog.ts';
import type { Lease, Leases, TakeOptions } from '../../server/leases/leases.ts';
import { LockError } from '../../server/leases/leases.ts';

/** Leases of their own for one test. */
export interface TestLeases {
  leases: Leases;
  /** Records a new upload; its id. */
  addUpload(): Promise<string>;
  findUpload(id: string): Promise<UploadRecord | undefined>;
  /** Makes the leases anew over the same uploads, as a restart does. */
  restart(): Promise<Leases>;
  dispose(): Promise<void>;
}

/** Longer than any test waits. */
const LONG_MS = 30_000;

/** Options that a test does not care about. */
export function options(fields: Partial<TakeOptions> = {}): TakeOptions {
  return { signal: new AbortController().signal, timeoutMs: LONG_MS, onAsked: () => {}, ...fields };
}

/** Runs the contract suite against the leases that `open` makes. */
export function describeLeasesContract(name: string, open: () => Promise<TestLeases>): void {
  describe(`leases contract: ${name}`, () => {
    let current: TestLeases;
    let leases: Leases;
    let id: string;

    beforeEach(async () => {
      current = await open();
      leases = current.leases;
      id = await current.addUpload();
    });

    afterEach(() => current.dispose());

    const refusal = (code: string) => ({ name: 'LockError', code });

    async function take(of: string, given: TakeOptions): Promise<Lease> {
      const missing = { ...(await current.findUpload(id)), id: of } as UploadRecord;
      return leases.take((await current.findUpload(of)) ?? missing, given);
    }

    /** Takes it with a promise of the moment it is asked. */
    function takeAskable(timeoutMs = LONG_MS) {
      let asked = 0;
      let onAsked = () => {};
      const firstAsked = new Promise<void>((resolve) => {
        onAsked = () => {
          asked++;
          resolve();
        };
      });
      const lease = take(id, options({ timeoutMs, onAsked }));
      return { lease, firstAsked, asked: () => asked };
    }

    it('gives a free upload at once, and again after its release', async () => {
      const lease = await take(id, options());
      expect(lease.uploadId).toBe(id);
      await lease.release('recovered');
      const again = await take(id, options());
      expect(again.epoch).toBeGreaterThan(lease.epoch);
      await again.release('recovered');
    });

    it('gives leases on different uploads side by side', async () => {
      const other = await current.addUpload();
      const both = await Promise.all([id, other].map((each) => take(each, options())));
      expect(both.map((lease) => lease.uploadId)).toEqual([id, other]);
    });

    it('asks the holder, and gives the lease on once it is released', async () => {
      const holder = takeAskable();
      const held = await holder.lease;
      let taken: Lease | undefined;
      const taking = take(id, options()).then((lease) => (taken = lease));
      await holder.firstAsked;
      expect(taken).toBeUndefined();
      await held.release('recovered');
      expect((await taking).epoch).toBeGreaterThan(held.epoch);
    });

    it('has one holder at a time, in the order they came, with epochs that grow', async () => {
      let holders = 0;
      const order: number[] = [];
      const epochs: number[] = [];
      await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const lease = await take(id, options());
          expect(++holders).toBe(1);
          order.push(index);
          epochs.push(lease.epoch);
          await new Promise(setImmediate);
          holders--;
          await lease.release('recovered');
        }),
      );
      expect(order).toEqual(Array.from({ length: 50 }, (_, index) => index));
      expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
    });

    it('asks once for every waiter, also a holder whose waiters came before it held', async () => {
      const first = takeAskable();
      const held = await first.lease;
      const second = takeAskable();
      const third = takeAskable();
      const fourth = takeAskable();
      await expect.poll(() => first.asked()).toBe(3);
      expect([second.asked(), third.asked(), fourth.asked()]).toEqual([0, 0, 0]);

      await held.release('recovered');
      const heldBySecond = await second.lease;
      expect(second.asked()).toBe(2);
      await heldBySecond.release('recovered');
      const heldByThird = await third.lease;
      expect(third.asked()).toBe(1);
      await heldByThird.release('recovered');
      await (await fourth.lease).release('recovered');
      expect([first.asked(), second.asked(), third.asked(), fourth.asked()]).toEqual([3, 2, 1, 0]);
    });

    it('lets a chain of take-overs reach the last, when each holder gives way', async () => {
      const giveWay = async () => {
        const { lease, firstAsked } = takeAskable();
        const held = await lease;
        await firstAsked;
        await held.release('recovered');
      };
      const chain = Array.from({ length: 10 }, giveWay);
      const last = await take(id, options());
      await Promise.all(chain);
      await last.release('recovered');
    });

    it('times out when the holder keeps it, and leaves the line', async () => {
      const holder = takeAskable();
      const held = await holder.lease;
      await expect(take(id, options({ timeoutMs: 20 }))).rejects.toMatchObject(refusal('timeout'));
      await expect(take(id, options({ timeoutMs: 0 }))).rejects.toMatchObject(refusal('timeout'));
      expect(holder.asked()).toBe(2);
      await held.release('recovered');
      await (await take(id, options())).release('recovered');
    });

    it('lets a waiter whose signal is aborted leave, and those behind it keep their places', async () => {
      const held = await take(id, options());
      const leaver = new AbortController();
      const leaving = take(id, options({ signal: leaver.signal }));
      const next = take(id, options());
      leaver.abort();
      await expect(leaving).rejects.toMatchObject(refusal('aborted'));
      await held.release('recovered');
      await (await next).release('recovered');
    });

    it('refuses a signal that was aborted before', async () => {
      await expect(take(id, options({ signal: AbortSignal.abort() }))).rejects.toMatchObject(refusal('aborted'));
      await (await take(id, options())).release('recovered');
    });

    it('keeps a lease whose signal is aborted later', async () => {
      const controller = new AbortController();
      const held = await take(id, options({ signal: controller.signal }));
      controller.abort();
      await expect(take(id, options({ timeoutMs: 20 }))).rejects.toMatchObject(refusal('timeout'));
      await held.release('recovered');
    });

    it('refuses an upload that is missing, and does not hold on to it', async () => {
      for (let attempt = 0; attempt < 2; attempt++) {
        const refused = take('another', options());
        await expect(refused).rejects.toBeInstanceOf(LockError);
        await expect(refused).rejects.toMatchObject(refusal('missing'));
      }
    });

    it('takes a release twice as one', async () => {
      const first = await take(id, options());
      const second = take(id, options());
      await first.release('recovered');
      const held = await second;
      await first.release('recovered');
      await expect(take(id, options({ timeoutMs: 20 }))).rejects.toMatchObject(refusal('timeout'));
      await held.release('recovered');
    });

    it('refuses waiters and new requests once closed; leases that are held stay', async () => {
      const held = await take(id, options());
      const waiting = [take(id, options()), take(id, options())];
      await Promise.all([
        leases.close(),
        ...waiting.map((each) => expect(each).rejects.toMatchObject(refusal('closed'))),
      ]);
      await expect(take(id, options())).rejects.toMatchObject(refusal('closed'));
      await held.release('recovered');
      await expect(take(id, options())).rejects.toMatchObject(refusal('closed'));
      await leases.close();
    });

    it('gives a greater epoch after a restart than ever before', async () => {
      const before = await take(id, options());
      leases = await current.restart();
      const after = await take(id, options());
      expect(after.epoch).toBeGreaterThan(before.epoch);
    });
  });
}
