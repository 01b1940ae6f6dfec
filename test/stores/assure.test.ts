/** Whether an object is the one that was stored, told by ETags of all kinds. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { assureContent } from '../../stores/s3/assure.ts';
import { type StoredUpload } from '../../stores/store.ts';

const MD5 = createHash('md5').update('tide').digest('hex');
const UPLOAD = { id: 'a', size: 4, offset: 4, filename: null, filetype: null } as unknown as StoredUpload;

function assure(etag: string, seal: string | null, size = 4): ReturnType<typeof assureContent> {
  return assureContent(
    UPLOAD,
    { key: 'k', md5: MD5, size: 4, seal },
    {
      objects: { head: async () => ({ size, uploadId: 'b', etag }) },
      ledger: { parts: async () => [] },
      state: null,
    },
  );
}

test('an ETag that is known proves the object; another one is the seal, once the object was read', async () => {
  expect(await assure(MD5, null)).toEqual({ isSound: true, seal: null });
  expect(await assure('opaque-2', 'opaque-2')).toEqual({ isSound: true, seal: null });
  expect(await assure('opaque-2', null)).toEqual({ isSound: false, seal: 'opaque-2' });
  expect(await assure('opaque-3', 'opaque-2')).toEqual({ isSound: false, seal: 'opaque-3' });
  expect(await assure(MD5, null, 5)).toEqual({ isSound: false, seal: null });
});

test('an answer without an ETag proves nothing, and is no seal', async () => {
  expect(await assure('', null)).toEqual({ isSound: false, seal: null });
  expect(await assure('', '')).toEqual({ isSound: false, seal: null });
});
