/** A request that is refused leaves nothing that becomes a file later, and has declared nothing: killed or not. */
import { connect } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { type Answer, createUpload, head, patch, send, TUS } from '../harness/tus.ts';
import { answered, expectBytes, idOf, listFiles, offsetOf, openPatch, until } from './support.ts';

const OCTETS = { 'Content-Type': 'application/offset+octet-stream' };
const CHUNKED = { 'Transfer-Encoding': 'chunked' };
const MOST = 1024 * 1024;

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService({ MAX_FILE_SIZE: '1MiB' });
  });
  afterAll(() => service.stop());

  /** Looks of the tests at their uploads, for the last test, which kills the service. */
  const looksAfterDeath: (() => Promise<void>)[] = [];
  /** Uploads that are not refused as a whole: some of them are unfinished. */
  const begun: string[] = [];

  /** Names of bytes of no upload that is under way. */
  async function leftBytes(): Promise<string[]> {
    return (await service.unfinished()).filter((name) => !begun.some((location) => name.includes(idOf(location))));
  }

  /** Files that this test has not made. */
  async function countFiles(): Promise<number> {
    return (await listFiles(service)).length;
  }

  async function create(headers: Record<string, string>, body?: string): Promise<Answer> {
    return send('POST', `${service.url}/uploads`, {
      headers: { ...TUS, ...headers },
      ...(body === undefined ? {} : { body }),
    });
  }

  /** An upload of a length that is not known yet, with the first three bytes. */
  async function deferred(): Promise<string> {
    const location = (await create({ 'Upload-Defer-Length': '1' })).headers.location ?? '';
    begun.push(location);
    expect((await patch(location, 0, 'abc')).status).toBe(204);
    return location;
  }

  async function expectDeferred(location: string, offset = 3): Promise<void> {
    const { headers } = await head(location);
    expect(headers).toMatchObject({ 'upload-offset': String(offset), 'upload-defer-length': '1' });
    expect(headers['upload-length']).toBeUndefined();
  }

  test('a POST with more bytes than it declares makes nothing', async () => {
    const before = await countFiles();
    for (const length of [0, 2]) {
      const declared = { 'Upload-Length': String(length), ...OCTETS };
      expect((await create(declared, 'abc')).code).toBe('too_large');
      expect((await create({ ...declared, ...CHUNKED }, 'abc')).code).toBe('too_large');
    }
    const large = 'x'.repeat(MOST + 1);
    expect((await create({ 'Upload-Defer-Length': '1', ...OCTETS }, large)).code).toBe('too_large');
    expect((await create({ 'Upload-Defer-Length': '1', ...OCTETS, ...CHUNKED }, large)).code).toBe('too_large');
    expect(await countFiles()).toBe(before);
  });

  test('a body with bytes beyond the length does not make its upload whole, in one piece or several', async () => {
    const before = await countFiles();
    const refused: { location: string; offset: number }[] = [];
    for (const pieces of [['defg'], ['de', 'fg'], ['def', 'g']]) {
      const location = await createUpload(service.url, 6);
      begun.push(location);
      expect((await patch(location, 0, 'abc')).status).toBe(204);
      const sender = openPatch(location, 3);
      for (const piece of pieces) {
        await sender.write(Buffer.from(piece));
        // What has come by now has been read: the next piece comes by itself.
        await head(location);
      }
      sender.end();
      expect((await answered(sender)).code).toBe('too_large');
      const offset = await offsetOf(location);
      expect(offset).toBeLessThan(6);
      refused.push({ location, offset });
    }
    expect(await countFiles()).toBe(before);
    looksAfterDeath.push(async () => {
      for (const { location, offset } of refused) {
        // What was acknowledged before is there, and the upload can be resumed.
        expect(await offsetOf(location)).toBe(offset);
        expect((await patch(location, offset, 'abcdef'.slice(offset))).status).toBe(204);
        await expectBytes(location, Buffer.from('abcdef'));
      }
    });
  });

  test('a length declared by a PATCH that is refused does not count', async () => {
    const before = await countFiles();
    const location = await deferred();
    const refusals: [Record<string, string>, number, string, string][] = [
      [{ 'Upload-Length': '3' }, 3, 'x', 'too_large'],
      [{ 'Upload-Length': '3', ...CHUNKED }, 3, 'x', 'too_large'],
      [{ 'Upload-Length': '5', ...CHUNKED }, 3, 'xyz', 'too_large'],
      [{ 'Upload-Length': '3' }, 2, '', 'offset_conflict'],
      [{ 'Upload-Length': '2' }, 3, '', 'invalid_field'],
      [{ 'Upload-Length': '3', 'Content-Type': 'text/plain' }, 3, '', 'unsupported_media_type'],
      [{ 'Upload-Length': String(MOST + 1) }, 3, 'x', 'too_large'],
    ];
    for (const [headers, offset, body, code] of refusals) {
      expect((await patch(location, offset, body, headers)).code, JSON.stringify(headers)).toBe(code);
      await expectDeferred(location);
    }
    expect(await countFiles()).toBe(before);
    looksAfterDeath.push(async () => {
      await expectDeferred(location);
      expect((await patch(location, 3, 'def', { 'Upload-Length': '6' })).status).toBe(204);
      await expectBytes(location, Buffer.from('abcdef'));
    });
  });

  test('a length declared by a PATCH that breaks off counts', async () => {
    const location = await deferred();
    const sender = openPatch(location, 3, 3, { 'Upload-Length': '6' });
    await sender.write(Buffer.from('de'));
    await until('they count', async () => (await offsetOf(location)) === 5);
    sender.destroy();
    looksAfterDeath.push(async () => {
      expect((await head(location)).headers).toMatchObject({ 'upload-length': '6' });
    });
  });

  test('what a PATCH sends beyond MAX_FILE_SIZE is not taken, and the upload can be resumed', async () => {
    const bytes = makeBytes(MOST, 960);
    const location = await deferred();
    const answer = await patch(location, 3, Buffer.concat([bytes, bytes]), CHUNKED);
    expect(answer.code).toBe('too_large');
    const offset = await offsetOf(location);
    expect(offset).toBeLessThan(MOST);
    looksAfterDeath.push(async () => {
      await expectDeferred(location, offset);
      expect((await patch(location, offset, '', { 'Upload-Length': String(offset) })).status).toBe(204);
      await expectBytes(location, Buffer.concat([Buffer.from('abc'), bytes.subarray(0, offset - 3)]));
    });
  });

  test('a form that is refused leaves nothing', async () => {
    const before = await countFiles();
    for (const path of ['/upload', '/file/upload']) {
      const form = new FormData();
      form.set('file', new Blob([new Uint8Array(MOST + 1)]), 'large.bin');
      expect((await fetch(service.url + path, { method: 'POST', body: form, redirect: 'manual' })).status).toBe(413);
      const cut = connect(service.port, '127.0.0.1');
      cut.on('error', () => undefined);
      const text =
        '--b\r\nContent-Disposition: form-data; name="file"; filename="cut"\r\n\r\nabc\r\n' +
        '--b\r\nContent-Disposition: form-data; name="file"; filename="second"\r\n\r\nabc\r\n--b--\r\n';
      cut.write(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n` +
          `Content-Length: ${text.length}\r\n\r\n${text}`,
      );
      const [refusal] = (await once(cut, 'data')) as [Buffer];
      expect(refusal.toString()).toContain(' 400 ');
      cut.destroy();
    }
    expect(await countFiles()).toBe(before);
  });

  test('HEAD never tells of bytes that would make an upload whole before they count', async () => {
    const location = await deferred();
    let isDone = false;
    const looking = (async () => {
      while (!isDone) {
        const { headers } = await head(location);
        expect(headers['upload-offset']).not.toBe(headers['upload-length']);
      }
    })();
    for (let round = 0; round < 30; round++) {
      expect((await patch(location, 3, 'x', { 'Upload-Length': '3', ...CHUNKED })).code).toBe('too_large');
    }
    isDone = true;
    await looking;
    await expectDeferred(location);
  });

  test('all bytes without an end: HEAD answers, and the upload can be resumed there', async () => {
    const bytes = makeBytes(300_000, 961);
    const location = await createUpload(service.url, bytes.length, { md5: md5(bytes) });
    begun.push(location);
    const silent = openPatch(location, 0);
    await silent.write(bytes);
    const offset = await offsetOf(location);
    expect(offset).toBeLessThan(bytes.length);
    expect((await patch(location, offset, bytes.subarray(offset))).status).toBe(204);
    silent.destroy();
    await expectBytes(location, bytes);
  });

  test('after a kill of the service, all of that holds', async () => {
    // As others leave it that are under way when it dies.
    const before = await countFiles();
    expect((await create({ 'Upload-Length': '2', ...OCTETS }, 'abc')).code).toBe('too_large');
    expect((await create({ 'Upload-Length': '2', ...OCTETS, ...CHUNKED }, 'abc')).code).toBe('too_large');
    await service.restart();
    expect(await countFiles()).toBe(before);
    expect(await leftBytes()).toEqual([]);
    for (const look of looksAfterDeath) await look();
  });
});
