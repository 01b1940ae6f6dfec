/** Digest Fields (RFC 9530), and files that their owner need not send. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { describeOverFolderAndBucket, type StoredService } from '../harness/stores.ts';
import { until } from '../system/support.ts';
import { headOf, openWire, sendWire } from './wire.ts';

const V = { 'Upload-Draft-Interop-Version': 10 };
const PARTIAL = { 'Content-Type': 'application/partial-upload' };

/** A digest as it is in a field. */
function digest(name: 'md5' | 'sha' | 'sha-256' | 'sha-512', bytes: Uint8Array): string {
  const algorithm = { md5: 'md5', sha: 'sha1', 'sha-256': 'sha256', 'sha-512': 'sha512' }[name];
  return `${name}=:${createHash(algorithm).update(bytes).digest('base64')}:`;
}

let seed = 9_530;
/** Bytes that nobody has sent. */
function fresh(length = 2_000): Buffer {
  seed += 1;
  return makeBytes(length, seed);
}

describeOverFolderAndBucket((store) => {
  let service: StoredService;
  beforeAll(async () => {
    service = await store.startService({ DIGESTS: 'md5,sha1' });
  });
  afterAll(() => service.stop());

  const ask = (method: string, path: string, fields: Record<string, string | number>, body?: Uint8Array) =>
    sendWire(service.port, method, path, fields, body);

  test('a Content-Digest makes a request count whole or not at all', async () => {
    const bytes = fresh(200_000);
    const half = bytes.subarray(0, 100_000);
    const wrong = await ask(
      'POST',
      '/uploads',
      { ...V, 'Upload-Complete': '?0', 'Content-Digest': digest('sha-256', bytes) },
      half,
    );
    expect([wrong.status, wrong.json['code']]).toEqual([400, 'checksum_mismatch']);
    expect(wrong.headers).toMatchObject({ 'upload-offset': '0', 'upload-complete': '?0' });
    const path = new URL(wrong.headers['location'] ?? '').pathname;
    const append = (offset: number, body: Buffer, checked: Buffer, isComplete = false) =>
      ask(
        'PATCH',
        path,
        {
          ...V,
          ...PARTIAL,
          'Upload-Offset': offset,
          'Upload-Complete': isComplete ? '?1' : '?0',
          'Content-Digest': `${digest('md5', checked)}, ${digest('sha-512', checked)}`,
        },
        body,
      );
    const right = await append(0, half, half);
    expect([right.status, right.headers['upload-offset']]).toEqual([204, '100000']);
    const rest = bytes.subarray(100_000);
    const refused = await append(100_000, rest, half, true);
    expect([refused.status, refused.headers['upload-offset']]).toEqual([400, '100000']);
    await service.restart();
    expect((await ask('HEAD', path, V)).headers).toMatchObject({ 'upload-offset': '100000', 'upload-complete': '?0' });
    const last = await append(100_000, rest, rest, true);
    expect([last.status, last.json]).toMatchObject([201, { md5: md5(bytes) }]);
  });

  test('a length that cannot be counted exactly is refused before anything is recorded', async () => {
    const begun = await sendWire(service.port, 'POST', '/uploads', { ...V, 'Upload-Complete': '?0' }, 'abc');
    const path = new URL(begun.headers['location'] ?? '').pathname;
    const append = { ...V, ...PARTIAL, 'Upload-Offset': 3, 'Upload-Complete': '?1' };
    for (const [method, target, fields] of [
      ['POST', '/uploads', { ...V, 'Upload-Complete': '?1', 'Content-Length': '9007199254740993' }],
      ['POST', '/uploads', { ...V, 'Upload-Complete': '?0', 'Content-Length': '18446744073709551615' }],
      ['PATCH', path, { ...append, 'Content-Length': '9007199254740991' }],
    ] as const) {
      expect(await sendWire(service.port, method, target, fields)).toMatchObject({
        status: 413,
        before: [],
        json: { code: 'too_large' },
      });
    }
    const last = await sendWire(service.port, 'PATCH', path, append, 'def');
    expect(last.json).toMatchObject({ md5: md5(Buffer.from('abcdef')) });
  });

  test('a Repr-Digest is compared before publication', async () => {
    const bytes = fresh();
    const other = fresh();
    for (const name of ['md5', 'sha'] as const) {
      const fields = { ...V, 'Upload-Complete': '?1', 'Repr-Digest': digest(name, other) };
      const answer = await ask('POST', '/uploads', fields, bytes);
      expect([answer.status, answer.json['code']]).toEqual([400, 'digest_mismatch']);
      // The answer of the target: to resume changes nothing.
      expect(answer.headers).toMatchObject({ 'upload-complete': '?1', 'content-type': 'application/problem+json' });
      const path = new URL(answer.before[0]?.headers['location'] ?? '').pathname;
      expect((await ask('HEAD', path, V)).status).toBe(410);
    }
    const both = `${digest('md5', bytes)}, ${digest('sha', bytes)}`;
    const created = await ask('POST', '/uploads', { ...V, 'Upload-Complete': '?0', 'Repr-Digest': both }, bytes);
    const path = new URL(created.headers['location'] ?? '').pathname;
    const fields = { ...V, ...PARTIAL, 'Upload-Offset': bytes.length, 'Upload-Complete': '?1' };
    const last = await ask(
      'PATCH',
      path,
      { ...fields, 'Want-Repr-Digest': 'sha-512=10, md5=3, sha=0' },
      Buffer.alloc(0),
    );
    expect(last.status).toBe(201);
    expect(last.headers['repr-digest']).toBe(digest('md5', bytes));
  });
});

describe('over a folder', () => {
  let service: RunningService;
  beforeAll(async () => {
    service = await startService({
      env: { AUTH_TOKENS: 'anna:annas-secret-1, bert:berts-secret-2', DIGESTS: 'md5,sha256', INSTANT: 'all' },
    });
  });
  afterAll(() => service.stop());

  const ANNA = { Authorization: 'Bearer annas-secret-1' };
  const BERT = { Authorization: 'Bearer berts-secret-2' };
  const ask = (fields: Record<string, string | number>, body?: Uint8Array, path = '/api/files') =>
    sendWire(service.port, 'POST', path, { ...ANNA, ...fields }, body);

  test.each([
    ['not Base64', 'md5=:!!!!:'],
    ['of another length', 'md5=:AAAA:'],
    ['no byte sequence', 'md5="AAAA"'],
    ['no dictionary', 'md5:AAAA'],
    ['an algorithm that is not computed', digest('sha', Buffer.alloc(0))],
    ['an algorithm that nobody knows', `unixsum=:AAAA:`],
    ['one of two', `${digest('md5', Buffer.from('abc'))}, x=:AAAA:`],
  ])('a digest that cannot be compared is refused: %s', async (_, value) => {
    const fields = { ...V, 'Upload-Complete': '?1', 'Repr-Digest': value };
    for (const answer of [
      await ask(fields, Buffer.from('abc'), '/uploads'),
      await ask({ 'Repr-Digest': value }, Buffer.from('abc')),
    ]) {
      expect(answer.status).toBe(400);
      expect(answer.body).toContain('invalid_field');
      expect(answer.before).toEqual([]);
    }
    const content = await ask({ 'Content-Digest': value.replace(/^sha=.*/, 'x=:AAAA:') }, Buffer.from('abc'));
    expect(content.status).toBe(400);
    expect(content.body).toContain('Content-Digest');
  });

  test('a digest that would come behind the content is refused', async () => {
    const fields = { 'Transfer-Encoding': 'chunked', Trailer: 'Content-Digest' };
    expect((await ask(fields)).status).toBe(400);
  });

  test('an ordinary upload is compared, too', async () => {
    const bytes = fresh();
    const wrong = await ask({ 'Repr-Digest': digest('sha-256', fresh()) }, bytes);
    expect(wrong.body).toContain('digest_mismatch');
    expect((await ask({ 'Content-Digest': digest('sha', fresh()) }, bytes)).body).toContain('checksum_mismatch');
    const right = await ask({ 'Content-Digest': digest('sha', bytes), 'Want-Repr-Digest': 'sha-256=1' }, bytes);
    expect([right.status, right.headers['repr-digest']]).toEqual([201, digest('sha-256', bytes)]);
  });

  test('a file whose content its owner has is complete before its body is read', async () => {
    const bytes = fresh(500_000);
    expect((await ask({}, bytes)).status).toBe(201);
    for (const fields of [
      { ...V, 'Upload-Complete': '?1', 'Content-Length': bytes.length },
      { ...V, 'Upload-Complete': '?0', 'Upload-Length': bytes.length, 'Content-Length': 0 },
      { 'Content-Length': bytes.length },
    ]) {
      const wire = await openWire(service.port);
      const digests = `${digest('md5', bytes)}, ${digest('sha-256', bytes)}`;
      wire.write(
        headOf('POST', '/api/files?name=again.bin', {
          ...ANNA,
          'Repr-Digest': digests,
          ...fields,
          Expect: '100-continue',
        }),
      );
      // Neither 100 nor 104: not a byte is asked for.
      const answer = await wire.next();
      expect([answer.status, answer.json]).toMatchObject([201, { name: 'again.bin', md5: md5(bytes) }]);
      if ('Upload-Complete' in fields) expect(answer.headers['upload-complete']).toBe('?1');
      wire.cut();
    }
  });

  test('nobody gets the content of others by its digest', async () => {
    const bytes = fresh(300_000);
    expect((await ask({}, bytes)).status).toBe(201);
    const wire = await openWire(service.port);
    const fields = { ...BERT, ...V, 'Upload-Complete': '?1', 'Repr-Digest': digest('md5', bytes) };
    wire.write(headOf('POST', '/uploads', { ...fields, 'Content-Length': bytes.length }));
    const early = await wire.next();
    expect(early.status).toBe(104);
    wire.write(bytes.subarray(0, 1_000));
    wire.cut();
    await until('it is unfinished', async () => {
      const path = new URL(early.headers['location'] ?? '').pathname;
      const state = await sendWire(service.port, 'HEAD', path, { ...BERT, ...V });
      return state.headers['upload-complete'] === '?0';
    });
    const other = { ...ANNA, ...V, 'Upload-Complete': '?1', 'Repr-Digest': digest('md5', bytes) };
    // Another length is another content.
    const longer = await sendWire(service.port, 'POST', '/uploads', other, Buffer.concat([bytes, bytes]));
    expect(longer.json['code']).toBe('digest_mismatch');
  });
});
