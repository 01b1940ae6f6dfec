/** Two nodes over one catalog and one bucket: what a node stores once it has lost the lease replaces nothing, and goes. */
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { type Catalog, CatalogError, NODE_DEAD_AFTER_MS } from '../../server/catalog/catalog.ts';
import { openNewCatalog } from '../harness/new-catalog.ts';
import { createProcessWake } from '../../server/leases/wake.ts';
import { aboutNode, timeBy } from '../catalog/fixtures.ts';
import { BUCKETS } from '../harness/buckets.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { startFaultProxy } from '../harness/fault-proxy.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { type House, openHouse } from './support.ts';

const NEVER = new AbortController().signal;
const PATIENCE = { timeout: 20_000 };
const bytes = makeBytes(200_000, 91);
/** Of the same upload, as a client would send that has another file by now. */
const others = makeBytes(200_000, 92);

/** What a PATCH with all bytes comes to. */
async function patch({ uploads }: House, id: string, source: Buffer): Promise<unknown> {
  const writer = await uploads.open(id, 'anyone', { signal: NEVER });
  try {
    return await writer.append(new PassThrough().end(source), { maxBytes: source.length });
  } catch (error) {
    return error;
  } finally {
    await writer.release();
  }
}

test.each(BUCKETS.filter(({ missing }) => missing === undefined))(
  'a node that wakes up with bytes for a bucket of $name leaves the content of the next one alone',
  async ({ start }) => {
    const bucket = await start();
    onTestFinished(() => bucket.stop());
    const proxy = await startFaultProxy({ toPort: bucket.port });
    onTestFinished(() => proxy.stop());
    let nowMs = 0;
    const file = `${await makeTempFolder()}/catalog.db`;
    const catalog = await openNewCatalog({ file, isShared: true, time: timeBy(() => nowMs) });
    onTestFinished(() => catalog.close());
    const shared = { catalog, wake: createProcessWake() };
    const [stale, holder] = [
      await openHouse(bucket.env(proxy.port), {}, { shared }),
      await openHouse(bucket.env(), {}, { shared }),
    ];

    const id = await stale.begin(bytes);
    const frozen = proxy.place({ operation: 'PutObject', fault: { kind: 'stall' } });
    const writing = patch(stale, id, others);
    await frozen.hit;
    nowMs += NODE_DEAD_AFTER_MS;
    await catalog.joinNode(holder.parts.leases.node, aboutNode());
    expect(await patch(holder, id, bytes)).toMatchObject({ offset: bytes.length });
    const keys = await bucket.keys();
    expect(keys).toHaveLength(1);

    frozen.remove();
    expect(await writing).toMatchObject({ code: 'upload_taken_over' });
    expect(proxy.calls().map(({ operation }) => operation)).toContain('PutObject');
    const [content] = await catalog.findContents({ md5: md5(bytes) });
    const stored = await holder.parts.store.readContent(content?.key ?? '', undefined, NEVER);
    expect(md5(await buffer(stored))).toBe(md5(bytes));
    await expect.poll(() => bucket.keys(), PATIENCE).toEqual(keys);
  },
);

test('an end that the catalog has no room for removes nothing from a bucket: another node may publish it meanwhile', async () => {
  const bucket = await BUCKETS.find(({ name }) => name === 'OSS')?.start();
  if (!bucket) throw new Error('no bucket');
  onTestFinished(() => bucket.stop());
  let nowMs = 0;
  const file = `${await makeTempFolder()}/catalog.db`;
  const catalog = await openNewCatalog({ file, isShared: true, time: timeBy(() => nowMs) });
  onTestFinished(() => catalog.close());
  const holder = await openHouse(bucket.env(), {}, { shared: { catalog, wake: createProcessWake() } });
  let isEnding = false;
  const full: Catalog = {
    ...catalog,
    publish: () => Promise.reject(new CatalogError('unavailable', 'not now')),
    endUpload: () => {
      isEnding = true;
      return Promise.reject(new CatalogError('full', 'no room'));
    },
    findUpload: async (id) => {
      const row = await catalog.findUpload(id);
      if (isEnding) await publishElsewhere(id);
      return row;
    },
  };
  const stale = await openHouse(bucket.env(), {}, { shared: { catalog: full, wake: createProcessWake() } });
  async function publishElsewhere(id: string): Promise<void> {
    nowMs += NODE_DEAD_AFTER_MS;
    await catalog.joinNode(holder.parts.leases.node, aboutNode());
    expect((await holder.uploads.view(id, 'anyone')).state).toBe('complete');
  }

  const id = await stale.begin(bytes);
  expect(await patch(stale, id, bytes)).toMatchObject({ code: 'store_unavailable' });
  const writer = await stale.uploads.open(id, 'anyone', { signal: NEVER });
  await expect(writer.end()).rejects.toMatchObject({ code: 'store_full' });
  await publishElsewhere(id);
  const [content] = await catalog.findContents({ md5: md5(bytes) });
  const stored = await holder.parts.store.readContent(content?.key ?? '', undefined, NEVER);
  expect(md5(await buffer(stored))).toBe(md5(bytes));
});
