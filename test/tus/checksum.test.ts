/** The protocol's checksums, byte by byte on the wire: a request that has one counts as a whole, or not at all. */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import type { RunningService } from '../harness/service.ts';
import { PART } from '../harness/part.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { countWaitingBytes } from '../harness/sockets.ts';
import { createUpload, head, patch, send, TUS } from '../harness/tus.ts';
import { expectBytes, idOf, listFiles, offsetOf, openPatch, until } from '../system/support.ts';

const ALGORITHMS = ['sha1', 'md5', 'sha256', 'crc32c'] as const;
type Algorithm = (typeof ALGORITHMS)[number];

const DIGITS = '123456789';
/** Of `DIGITS`; RFC 3720 has the polynomial, and every list of CRCs this check value. */
const CRC_OF_DIGITS = Buffer.from('e3069283', 'hex').toString('base64');
const SHA1_OF_NOTHING = '2jmj7l5rSw0yVb/vlWAYkK/YBwk=';

function sumOf(body: Buffer | string, algorithm: Algorithm = 'sha1'): string {
  const digest = algorithm === 'crc32c' ? CRC_OF_DIGITS : createHash(algorithm).update(body).digest('base64');
  return `${algorithm} ${digest}`;
}

/** A well-formed checksum of other bytes. */
function wrongSum(algorithm: Algorithm = 'sha1'): string {
  const bytes = { sha1: 20, md5: 16, sha256: 32, crc32c: 4 }[algorithm];
  return `${algorithm} ${Buffer.alloc(bytes, 1).toString('base64')}`;
}

/** A body in two chunks, with a trailer section. */
function chunked(body: Buffer | string, trailers: string[] = []): Buffer {
  const bytes = Buffer.from(body);
  const half = Math.floor(bytes.length / 2);
  const chunks = [bytes.subarray(0, half), bytes.subarray(half)].filter(({ length }) => length > 0);
  return Buffer.concat([
    ...chunks.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
    Buffer.from(['0', ...trailers, '', ''].join('\r\n')),
  ]);
}

interface Told {
  status: number;
  /** Everything before the body, as it came. */
  head: string;
  code: string | undefined;
  field: string | undefined;
  message: string | undefined;
}

/** Sends a request byte by byte as it is given, and reads until the service closes. */
async function exchange(service: RunningService, lines: string[], body: Buffer | string = ''): Promise<Told> {
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(service.port, '127.0.0.1', () => {
      const top = [...lines, 'Host: localhost', 'Tus-Resumable: 1.0.0', 'Connection: close'].join('\r\n');
      socket.write(Buffer.concat([Buffer.from(`${top}\r\n\r\n`), Buffer.from(body)]));
    });
    let answer = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk));
    socket.on('error', reject).on('close', () => resolve(answer));
  });
  const end = text.indexOf('\r\n\r\n');
  const { error } = JSON.parse(text.slice(end + 4) || '{}') as { error?: Omit<Told, 'status' | 'head'> };
  return {
    status: Number(text.split(' ', 2)[1]),
    head: text.slice(0, end),
    code: error?.code,
    field: error?.field,
    message: error?.message,
  };
}

const MALFORMED = [
  'sha512 z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==',
  'SHA1 9+aVh1z4Kyg6bfIwVfpZv+3t1e4=',
  'sha1',
  '',
  '9+aVh1z4Kyg6bfIwVfpZv+3t1e4=',
  'sha1 not*base64',
  'sha1 9+aVh1z4Kyg6bfIwVfpZv+3t1e4',
  'sha1 AAAA',
  'crc32c AAAAAAA=',
  'sha1  9+aVh1z4Kyg6bfIwVfpZv+3t1e4=',
  'sha1 9+aVh1z4Kyg6bfIwVfpZv+3t1e4= x',
  'sha1 9+aVh1z4Kyg6bfIwVfpZv+3t1e4=\r\nUpload-Checksum: sha1 9+aVh1z4Kyg6bfIwVfpZv+3t1e4=',
];

const TYPE = 'Content-Type: application/offset+octet-stream';

function patchLines(location: string, offset: number, ...more: string[]): string[] {
  return [`PATCH ${new URL(location).pathname} HTTP/1.1`, TYPE, `Upload-Offset: ${offset}`, ...more];
}

const CHUNKED = 'Transfer-Encoding: chunked';
const ANNOUNCED = 'Trailer: Upload-Checksum';

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  /** How many uploads are unfinished; only those that have bytes are counted in a folder. */
  const countUnfinished = async (): Promise<number> => (await service.unfinished()).length;

  /** A PATCH from the first byte, with its length. */
  function sendPatch(location: string, body: Buffer | string, ...more: string[]): Promise<Told> {
    return exchange(service, patchLines(location, 0, `Content-Length: ${Buffer.byteLength(body)}`, ...more), body);
  }

  /** A chunked PATCH from the first byte. */
  function sendChunked(location: string, body: Buffer | string, trailers: string[], ...more: string[]): Promise<Told> {
    return exchange(service, patchLines(location, 0, CHUNKED, ...more), chunked(body, trailers));
  }

  /** A POST that brings bytes. */
  function sendPost(body: Buffer | string, ...more: string[]): Promise<Told> {
    const lines = ['POST /uploads HTTP/1.1', TYPE, `Content-Length: ${Buffer.byteLength(body)}`, ...more];
    return exchange(service, lines, body);
  }

  describe('the extension checksum', () => {
    test('OPTIONS tells the extensions and the algorithms', async () => {
      const { status, head: told } = await exchange(service, ['OPTIONS /uploads HTTP/1.1']);
      expect(status).toBe(200);
      expect(told).toMatch(/^tus-extension: \S*,checksum,checksum-trailer\b/im);
      expect(told).toMatch(/^tus-checksum-algorithm: sha1,md5,sha256,crc32c\r?$/im);
    });

    test.each(ALGORITHMS)('%s: a mismatch is 460 and keeps the offset, a match counts', async (algorithm) => {
      const location = await createUpload(service.url, DIGITS.length);
      const refused = await sendPatch(location, DIGITS, `Upload-Checksum: ${wrongSum(algorithm)}`);
      expect(refused).toMatchObject({ status: 460, code: 'checksum_mismatch' });
      expect((await head(location)).headers['upload-offset']).toBe('0');
      const done = await sendPatch(location, DIGITS, `Upload-Checksum: ${sumOf(DIGITS, algorithm)}`);
      expect(done.status).toBe(204);
      expect(done.head).toMatch(/^upload-offset: 9\r?$/im);
      expect(done.head).toMatch(/^tidemark-file-id: /im);
      await expectBytes(location, Buffer.from(DIGITS));
    });

    // How a header is read does not depend on the store.
    test.each(store.name === 'local' ? MALFORMED : [])('%j is 400, and the offset stays', async (value) => {
      const location = await createUpload(service.url, DIGITS.length);
      expect(await sendPatch(location, DIGITS, `Upload-Checksum: ${value}`)).toMatchObject({
        status: 400,
        code: 'invalid_field',
        field: 'Upload-Checksum',
        message: expect.stringMatching(/^Upload-Checksum must /),
      });
      expect(await offsetOf(location)).toBe(0);
    });

    test('that is malformed is refused before the body is asked for', async () => {
      const location = await createUpload(service.url, DIGITS.length);
      const lines = patchLines(location, 0, 'Content-Length: 9', 'Expect: 100-continue', 'Upload-Checksum: sha1');
      const told = await exchange(service, lines);
      expect(told.head).toMatch(/^HTTP\/1\.1 400 /);
    });

    test('counts for the bytes of its request alone, and for none', async () => {
      const location = await createUpload(service.url, DIGITS.length);
      expect((await patch(location, 0, '1234')).status).toBe(204);
      const nothing = patchLines(location, 4, 'Content-Length: 0');
      expect((await exchange(service, [...nothing, `Upload-Checksum: ${wrongSum()}`])).status).toBe(460);
      expect((await exchange(service, [...nothing, `Upload-Checksum: sha1 ${SHA1_OF_NOTHING}`])).status).toBe(204);
      const rest = patchLines(location, 4, 'Content-Length: 5');
      expect((await exchange(service, [...rest, `Upload-Checksum: ${sumOf(DIGITS)}`], '56789')).status).toBe(460);
      expect((await exchange(service, [...rest, `Upload-Checksum: ${sumOf('56789')}`], '56789')).status).toBe(204);
      await expectBytes(location, Buffer.from(DIGITS));
    });

    test('comes with a POST that is a PATCH by X-HTTP-Method-Override', async () => {
      const location = await createUpload(service.url, DIGITS.length);
      const [, ...lines] = patchLines(location, 0, 'Content-Length: 9', 'X-HTTP-Method-Override: PATCH');
      const top = `POST ${new URL(location).pathname} HTTP/1.1`;
      expect((await exchange(service, [top, ...lines, `Upload-Checksum: ${wrongSum()}`], DIGITS)).status).toBe(460);
      expect((await exchange(service, [top, ...lines, `Upload-Checksum: ${sumOf(DIGITS)}`], DIGITS)).status).toBe(204);
    });

    test('with a POST: nothing is created where it does not match', async () => {
      const before = [(await listFiles(service)).length, await countUnfinished()];
      const length = `Upload-Length: ${DIGITS.length}`;
      const metadata = `Upload-Metadata: md5 ${Buffer.from(md5(Buffer.from(DIGITS))).toString('base64')}`;
      const refused = await sendPost(DIGITS, length, metadata, `Upload-Checksum: ${wrongSum()}`);
      expect(refused).toMatchObject({ status: 460, code: 'checksum_mismatch' });
      expect(refused.head).not.toMatch(/^location:/im);
      // A part of it, too.
      expect((await sendPost('1234', length, metadata, `Upload-Checksum: ${wrongSum()}`)).status).toBe(460);
      const check = await fetch(`${service.url}/check?md5=${md5(Buffer.from(DIGITS))}&size=9`);
      expect(await check.json()).not.toHaveProperty('resume');
      expect((await sendPost('', length, `Upload-Checksum: ${wrongSum()}`)).status).toBe(460);
      expect([(await listFiles(service)).length, await countUnfinished()]).toEqual(before);

      expect((await sendPost('', length, `Upload-Checksum: sha1 ${SHA1_OF_NOTHING}`)).status).toBe(201);
      const part = await sendPost('1234', length, `Upload-Checksum: ${sumOf('1234')}`);
      expect(part.status).toBe(201);
      expect(part.head).toMatch(/^upload-offset: 4\r?$/im);
      const whole = await sendPost(DIGITS, length, `Upload-Checksum: ${sumOf(DIGITS)}`);
      expect(whole.status).toBe(201);
      expect(whole.head).toMatch(/^tidemark-file-id: /im);
    });

    test('a length that a refused request declares is withdrawn', async () => {
      const deferred = await exchange(service, [
        'POST /uploads HTTP/1.1',
        'Upload-Defer-Length: 1',
        'Content-Length: 0',
      ]);
      const { pathname } = new URL(/^location: (\S+)/im.exec(deferred.head)?.[1] ?? '');
      const location = service.url + pathname;
      const length = 'Upload-Length: 9';
      expect((await sendPatch(location, DIGITS, length, `Upload-Checksum: ${wrongSum()}`)).status).toBe(460);
      expect((await head(location)).headers).toMatchObject({ 'upload-offset': '0', 'upload-defer-length': '1' });
      expect((await sendPatch(location, DIGITS, length, `Upload-Checksum: ${sumOf(DIGITS)}`)).status).toBe(204);
      await expectBytes(location, Buffer.from(DIGITS));
    });

    test('of a body that is longer than the upload: 413, and not a byte of it counts', async () => {
      const location = await createUpload(service.url, 5);
      const told = await sendChunked(location, DIGITS, [], `Upload-Checksum: ${sumOf(DIGITS)}`);
      expect(told).toMatchObject({ status: 413, code: 'too_large' });
      expect(await offsetOf(location)).toBe(0);
      expect((await sendPatch(location, '12345', `Upload-Checksum: ${sumOf('12345')}`)).status).toBe(204);
    });
  });

  describe('the extension checksum-trailer', () => {
    test.each(ALGORITHMS)('%s: a mismatch is 460 and keeps the offset, a match counts', async (algorithm) => {
      const location = await createUpload(service.url, DIGITS.length);
      const wrong = await sendChunked(location, DIGITS, [`Upload-Checksum: ${wrongSum(algorithm)}`], ANNOUNCED);
      expect(wrong).toMatchObject({ status: 460, code: 'checksum_mismatch' });
      expect(await offsetOf(location)).toBe(0);
      const right = [`X-Other: 1`, `upload-checksum: ${sumOf(DIGITS, algorithm)}`];
      expect((await sendChunked(location, DIGITS, right, 'Trailer: x-other, upload-checksum')).status).toBe(204);
      await expectBytes(location, Buffer.from(DIGITS));
    });

    test.each([
      { what: 'that was announced and does not come', trailers: [], says: /did not come/ },
      { what: 'of an unknown algorithm', trailers: ['Upload-Checksum: sha3 AAAA'], says: /one of the algorithms/ },
      { what: 'that is not Base64', trailers: ['Upload-Checksum: sha1 *'], says: /20 bytes in Base64/ },
      { what: 'that comes twice', trailers: [`Upload-Checksum: ${sumOf('x')}`, `Upload-Checksum: ${sumOf('x')}`] },
    ])('$what is 400, and nothing counts', async ({ trailers, says = /./ }) => {
      const location = await createUpload(service.url, DIGITS.length);
      expect(await sendChunked(location, DIGITS, trailers, ANNOUNCED)).toMatchObject({
        status: 400,
        code: 'invalid_field',
        field: 'Upload-Checksum',
        message: expect.stringMatching(says),
      });
      expect(await offsetOf(location)).toBe(0);
    });

    test('beside a header: both have to say the same', async () => {
      const location = await createUpload(service.url, DIGITS.length);
      const header = `Upload-Checksum: ${sumOf(DIGITS)}`;
      for (const other of [wrongSum(), sumOf(DIGITS, 'md5')]) {
        const told = await sendChunked(location, DIGITS, [`Upload-Checksum: ${other}`], ANNOUNCED, header);
        expect(told).toMatchObject({
          status: 400,
          message: expect.stringContaining('differs from the one in the header'),
        });
        expect(await offsetOf(location)).toBe(0);
      }
      expect((await sendChunked(location, DIGITS, [header], ANNOUNCED, header)).status).toBe(204);
    });

    test('that was not announced is 400, and completes no upload', async () => {
      const trailers = [`Upload-Checksum: ${sumOf(DIGITS)}`];
      const location = await createUpload(service.url, DIGITS.length);
      const told = await sendChunked(location, DIGITS, trailers);
      expect(told).toMatchObject({ status: 400, message: expect.stringContaining('has to be announced') });
      expect((await send('GET', location)).status).toBe(404);
      // With a header, nothing counts before the end.
      const beside = await createUpload(service.url, 20);
      expect((await sendChunked(beside, DIGITS, trailers, `Upload-Checksum: ${sumOf(DIGITS)}`)).status).toBe(400);
      expect(await offsetOf(beside)).toBe(0);
    });

    test('needs a chunked body', async () => {
      const location = await createUpload(service.url, DIGITS.length);
      const told = await sendPatch(location, DIGITS, ANNOUNCED);
      expect(told).toMatchObject({ status: 400, code: 'invalid_field', field: 'Trailer' });
      expect(await offsetOf(location)).toBe(0);
    });

    test('with a POST: nothing is created where it does not match', async () => {
      const before = await countUnfinished();
      const post = ['POST /uploads HTTP/1.1', CHUNKED, ANNOUNCED, 'Upload-Length: 9'];
      for (const [trailer, status] of [
        [wrongSum(), 460],
        ['sha1 *', 400],
      ] as const) {
        const told = await exchange(service, [...post, TYPE], chunked(DIGITS, [`Upload-Checksum: ${trailer}`]));
        expect(told.status).toBe(status);
        // A body without bytes, also where its type is missing.
        for (const type of [[TYPE], []]) {
          const empty = await exchange(service, [...post, ...type], chunked('', [`Upload-Checksum: ${trailer}`]));
          expect(empty.status).toBe(status);
        }
      }
      expect(await countUnfinished()).toBe(before);
      const whole = await exchange(service, [...post, TYPE], chunked(DIGITS, [`Upload-Checksum: ${sumOf(DIGITS)}`]));
      expect(whole.status).toBe(201);
      expect(whole.head).toMatch(/^tidemark-file-id: /im);
    });
  });

  /** Two parts of a bucket and some bytes, the first of which are committed. */
  describe('a large request with a checksum', () => {
    const SIZE = 2 * PART + 100_000;
    const COMMITTED = 70_000;
    const bytes = makeBytes(SIZE, 47);
    const part = bytes.subarray(COMMITTED, SIZE - 1000);

    async function begin(): Promise<string> {
      const location = await createUpload(service.url, SIZE, { md5: md5(bytes) });
      expect((await patch(location, 0, bytes.subarray(0, COMMITTED))).status).toBe(204);
      return location;
    }

    function open(location: string): ReturnType<typeof openPatch> {
      return openPatch(location, COMMITTED, part.length, { 'Upload-Checksum': sumOf(part) });
    }

    /** Sends all bytes but the last. Resolves when the service has read them. */
    async function sendMost({ write }: ReturnType<typeof open>): Promise<void> {
      await write(part.subarray(0, part.length - 1));
      await until('no byte waits in a socket', async () => (await countWaitingBytes(service.port)) === 0);
    }

    /** Nothing of the request counts: it is sent again, and the rest; then nothing is left. */
    async function finish(location: string): Promise<void> {
      expect(await offsetOf(location)).toBe(COMMITTED);
      const again = await patch(location, COMMITTED, part, { 'Upload-Checksum': sumOf(part) });
      expect([again.status, again.headers['upload-offset']]).toEqual([204, String(SIZE - 1000)]);
      expect((await patch(location, SIZE - 1000, bytes.subarray(SIZE - 1000))).status).toBe(204);
      await expectBytes(location, bytes);
      const ofUpload = (name: string): boolean => name.includes(idOf(location));
      await expect.poll(async () => (await service.unfinished()).filter(ofUpload)).toEqual([]);
      expect((await send('DELETE', location, { headers: TUS })).status).toBe(204);
      await expect.poll(async () => (await service.contents()).length).toBe(before);
    }

    let before = 0;
    beforeAll(async () => {
      before = (await service.contents()).length;
    });

    test('that is wrong', async () => {
      const location = await begin();
      const others = makeBytes(part.length, 48);
      expect((await patch(location, COMMITTED, others, { 'Upload-Checksum': sumOf(part) })).status).toBe(460);
      await finish(location);
    });

    test('that breaks off, or that another one takes over from', async () => {
      const location = await begin();
      const broken = open(location);
      await sendMost(broken);
      // HEAD has nothing of it committed.
      expect(await offsetOf(location)).toBe(COMMITTED);
      broken.destroy();
      await broken.answer;
      expect(await offsetOf(location)).toBe(COMMITTED);
      const replaced = open(location);
      await sendMost(replaced);
      const again = await patch(location, COMMITTED, '', {});
      expect([again.status, again.headers['upload-offset']]).toEqual([204, String(COMMITTED)]);
      expect(await replaced.answer).toMatchObject({ status: 423 });
      await finish(location);
    });

    test('in which the service is killed', async () => {
      const location = await begin();
      const killed = open(location);
      await sendMost(killed);
      expect(await offsetOf(location)).toBe(COMMITTED);
      await service.restart();
      expect(await killed.answer).toBeInstanceOf(Error);
      await finish(location);
    });
  });
});
