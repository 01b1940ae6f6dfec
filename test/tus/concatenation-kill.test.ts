/** A service that is killed while it joins partial uploads continues after its restart, and publishes the right bytes. */
import { expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { PART } from '../harness/part.ts';
import { describeOverStores } from '../harness/stores.ts';
import { createUpload, encodeMetadata, head, patch, send, TUS } from '../harness/tus.ts';
import { idOf, until } from '../system/support.ts';

/** So much is not joined before the kill. */
const PIECES = 3;
const PIECE = 2 * PART;

describeOverStores((store) => {
  test('killed while it joins, a service continues after its restart', async () => {
    const service = await store.startService({ UPLOAD_TTL: '1h' });
    try {
      const bytes = makeBytes(PIECES * PIECE, 71);
      const pieces = Array.from({ length: PIECES }, (_, index) => bytes.subarray(index * PIECE, (index + 1) * PIECE));
      const partials: string[] = [];
      for (const piece of pieces) {
        partials.push(await createUpload(service.url, PIECE, {}, { 'Upload-Concat': 'partial' }));
        const isLast = partials.length === PIECES;
        await patch(partials.at(-1) ?? '', 0, isLast ? piece.subarray(0, -1) : piece);
      }
      const final = await send('POST', `${service.url}/uploads`, {
        headers: {
          ...TUS,
          'Upload-Concat': `final;${partials.join(' ')}`,
          'Upload-Metadata': encodeMetadata({ filename: 'joined.bin', md5: md5(bytes) }),
        },
      });
      const location = final.headers.location ?? '';
      // Its last byte begins the joining, which the answer does not wait for.
      const answer = await patch(partials.at(-1) ?? '', PIECE - 1, bytes.subarray(-1));
      expect(answer.status).toBe(204);
      await service.kill('SIGKILL');
      expect(service.output()).not.toContain('partial uploads are joined');
      await service.restart();
      for (const [index, partial] of partials.entries()) {
        expect([index, (await head(partial)).headers['upload-offset']]).toEqual([index, String(PIECE)]);
      }
      let state = await head(location);
      await until('the final is joined', async () => {
        state = await head(location);
        return state.headers['upload-offset'] !== undefined;
      });
      expect(state.headers['upload-offset']).toBe(String(bytes.length));
      const url = String(state.headers['tidemark-file-url']);
      expect(md5(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(md5(bytes));
      for (const partial of partials) await send('DELETE', partial, { headers: TUS });
      await send('DELETE', location, { headers: TUS });
      const ids = [location, ...partials].map(idOf);
      expect((await service.unfinished()).filter((name) => ids.some((id) => name.includes(id)))).toEqual([]);
      expect(await service.contents()).toEqual([]);
    } finally {
      await service.stop();
    }
  });
});
