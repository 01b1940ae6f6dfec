/** A service that joins partial uploads in a bucket sends almost no bytes: the bucket copies them, also after a kill. */
import { expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeOverFaultyBuckets } from '../harness/faulty-bucket.ts';
import { PART } from '../harness/part.ts';
import { createUpload, encodeMetadata, head, patch, send, TUS } from '../harness/tus.ts';
import { expectBytes, idOf, until } from '../system/support.ts';

/** The final's parts: the first and the third are of one partial; the second has bytes of both. */
const PIECES = [makeBytes(PART + 100_000, 91), makeBytes(2 * PART, 92)];
const WHOLE = Buffer.concat(PIECES);
const COPIED = [1, 3];
const SENT = [2, 4];

describeOverFaultyBuckets('joining partial uploads', { service: 'shared' }, (ground) => {
  /** The numbers of the parts that calls for an upload stored, each once. */
  function partsBy(operation: 'UploadPart' | 'UploadPartCopy', location: string): number[] {
    const numbers = ground.proxy
      .calls()
      .filter((call) => call.operation === operation && call.key.includes(idOf(location)))
      .map(({ partNumber = 0 }) => partNumber);
    return [...new Set(numbers)].toSorted((a, b) => a - b);
  }

  async function sendPartials(): Promise<string[]> {
    const partials: string[] = [];
    for (const piece of PIECES) {
      const partial = await createUpload(ground.service.url, piece.length, {}, { 'Upload-Concat': 'partial' });
      expect((await patch(partial, 0, piece)).status).toBe(204);
      partials.push(partial);
    }
    return partials;
  }

  async function beginFinal(partials: readonly string[]): Promise<string> {
    const { headers } = await send('POST', `${ground.service.url}/uploads`, {
      headers: {
        ...TUS,
        'Upload-Concat': `final;${partials.join(' ')}`,
        'Upload-Metadata': encodeMetadata({ filename: 'joined.bin', md5: md5(WHOLE) }),
      },
    });
    return headers.location ?? '';
  }

  async function expectJoined(location: string): Promise<void> {
    let state = await head(location);
    await until('the final is joined', async () => {
      state = await head(location);
      return state.headers['upload-offset'] !== undefined;
    });
    expect(state.headers['upload-offset']).toBe(String(WHOLE.length));
    await expectBytes(String(state.headers['tidemark-file-url']), WHOLE);
  }

  async function endAll(locations: readonly string[]): Promise<void> {
    for (const location of locations) await send('DELETE', location, { headers: TUS });
    await until('the bucket is empty', async () => (await ground.bucket.keys()).length === 0);
    expect(await ground.bucket.multiparts()).toEqual([]);
  }

  test('the bucket copies the parts that lie within one partial', async () => {
    const partials = await sendPartials();
    const final = await beginFinal(partials);
    await expectJoined(final);
    expect(partsBy('UploadPartCopy', final)).toEqual(COPIED);
    expect(partsBy('UploadPart', final)).toEqual(SENT);
    await endAll([final, ...partials]);
  });

  test('killed while the bucket copies, the service has the rest copied after its restart', async () => {
    const partials = await sendPartials();
    const copying = ground.proxy.place({
      operation: 'UploadPartCopy',
      partNumber: 3,
      times: Infinity,
      fault: { kind: 'stall' },
    });
    const begun = send('POST', `${ground.service.url}/uploads`, {
      headers: { ...TUS, 'Upload-Concat': `final;${partials.join(' ')}` },
    }).catch(() => undefined);
    await Promise.race([copying.hit, begun]);
    expect(copying.hits()).toBe(1);
    await ground.service.kill('SIGKILL');
    await begun;
    copying.remove();
    await ground.service.restart();
    const interrupted = ground.proxy.calls().findLast(({ operation }) => operation === 'UploadPartCopy')?.key ?? '';
    const id = /([^/.]+)\.[0-9a-f]{12}$/.exec(interrupted)?.[1] ?? '';
    const final = `${ground.service.url}/uploads/${id}`;
    await expectJoined(final);
    expect(partsBy('UploadPartCopy', final)).toEqual(COPIED);
    expect(partsBy('UploadPart', final)).toEqual(SENT);
    await endAll([final, ...partials]);
  });
});
