/** tus 1.0.0, "Concatenation": each rule, as bytes on the wire. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { PART } from '../harness/part.ts';
import { describeOverStores, type StoredService } from '../harness/stores.ts';
import { encodeMetadata } from '../harness/tus.ts';
import { idOf, listFiles, until } from '../system/support.ts';
import { exchange, type WireAnswer } from './wire.ts';

const TUS = 'Tus-Resumable: 1.0.0';

/** A client of one service, which writes its requests itself. */
function clientOf(service: () => RunningService, token?: string) {
  const auth = token === undefined ? [] : [`Authorization: Bearer ${token}`];
  const send = (line: string, headers: readonly string[] = [], body: Uint8Array | string = ''): Promise<WireAnswer> =>
    exchange(service().port, [`${line} HTTP/1.1`, TUS, ...auth, ...headers], body);

  const create = (headers: readonly string[], body: Uint8Array | string = ''): Promise<WireAnswer> =>
    send('POST /uploads', body.length > 0 ? [...headers, `Content-Length: ${body.length}`] : headers, body);

  const pathOf = (answer: WireAnswer): string => new URL(answer.headers['location'] ?? '').pathname;

  return {
    send,
    create,
    /** Begins a partial, with its first bytes where some are given. @returns its path. */
    partial: async (length: number, bytes?: Uint8Array): Promise<string> => {
      const type = bytes ? ['Content-Type: application/offset+octet-stream'] : [];
      const answer = await create(['Upload-Concat: partial', `Upload-Length: ${length}`, ...type], bytes);
      expect(answer.status).toBe(201);
      return pathOf(answer);
    },
    patch: (path: string, offset: number, bytes: Uint8Array): Promise<WireAnswer> =>
      send(
        `PATCH ${path}`,
        [
          `Upload-Offset: ${offset}`,
          'Content-Type: application/offset+octet-stream',
          `Content-Length: ${bytes.length}`,
        ],
        bytes,
      ),
    head: (path: string) => send(`HEAD ${path}`),
    final: (paths: readonly string[], headers: readonly string[] = []) =>
      create([`Upload-Concat: final;${paths.join(' ')}`, ...headers]),
    pathOf,
    untilJoined: async (path: string): Promise<WireAnswer> => {
      let answer = await send(`HEAD ${path}`);
      await until('the final is joined', async () => {
        answer = await send(`HEAD ${path}`);
        return answer.headers['upload-offset'] !== undefined || answer.status !== 200;
      });
      return answer;
    },
  };
}

function metadataOf(metadata: Record<string, string>): string {
  return `Upload-Metadata: ${encodeMetadata(metadata)}`;
}

async function bytesOf(answer: WireAnswer): Promise<Buffer> {
  return Buffer.from(await (await fetch(answer.headers['tidemark-file-url'] ?? '')).arrayBuffer());
}

describeOverStores((store) => {
  let service: StoredService;
  const client = clientOf(() => service);
  beforeAll(async () => {
    service = await store.startService();
  });
  afterAll(() => service.stop());

  test('partials are joined in the order of the list, and the file has the metadata of the final', async () => {
    const bytes = makeBytes(2 * PART + 70_000, 41);
    const cuts = [0, PART + 30_000, PART + 30_001, bytes.length];
    const pieces = [0, 1, 2].map((index) => bytes.subarray(cuts[index], cuts[index + 1]));
    const paths = await Promise.all(pieces.map((piece) => client.partial(piece.length, piece)));
    const before = await client.head(paths[0] ?? '');
    expect(before.headers).toMatchObject({
      'upload-concat': 'partial',
      'upload-offset': String(pieces[0]?.length),
      'upload-length': String(pieces[0]?.length),
    });
    expect(await listFiles(service)).toEqual([]);
    const metadata = metadataOf({ filename: 'joined.bin', md5: md5(bytes) });
    const answer = await client.final(paths, [metadata]);
    expect(answer.status).toBe(201);
    expect(answer.headers).toMatchObject({
      'upload-offset': String(bytes.length),
      'tidemark-file-name': expect.stringContaining('joined.bin') as string,
    });
    const joined = await client.head(client.pathOf(answer));
    expect(joined.headers).toMatchObject({
      'upload-offset': String(bytes.length),
      'upload-length': String(bytes.length),
      'upload-concat': `final;${paths.join(' ')}`,
      'upload-metadata': metadata.slice('Upload-Metadata: '.length),
    });
    expect((await bytesOf(joined)).equals(bytes)).toBe(true);
    expect(await listFiles(service)).toMatchObject([{ name: 'joined.bin' }]);
  });

  test('a partial may be there twice, and in several finals', async () => {
    const [a, b, c] = [makeBytes(300_000, 42), makeBytes(PART + 5, 43), makeBytes(0)];
    const [first, second, empty] = [
      await client.partial(a.length, a),
      await client.partial(b.length, b),
      await client.partial(0),
    ];
    for (const [paths, bytes] of [
      [[first, second, first], Buffer.concat([a, b, a])],
      [[empty, second, second, empty], Buffer.concat([c, b, b])],
      [[first], a],
      [[empty], c],
    ] as const) {
      const answer = await client.final(paths, [metadataOf({ md5: md5(bytes) })]);
      expect(answer.status).toBe(201);
      const joined = await client.untilJoined(client.pathOf(answer));
      expect((await bytesOf(joined)).equals(bytes)).toBe(true);
    }
    expect((await client.head(first)).headers['upload-offset']).toBe(String(a.length));
  });

  test('a final that is announced before its partials are whole', async () => {
    const bytes = makeBytes(PART + 100_000, 44);
    const half = 200_000;
    const first = await client.partial(half, bytes.subarray(0, 100_000));
    const answer = await client.create(['Upload-Concat: partial', 'Upload-Defer-Length: 1']);
    const second = client.pathOf(answer);
    const final = client.pathOf(await client.final([first, second], [metadataOf({ md5: md5(bytes) })]));
    const waiting = await client.head(final);
    expect(waiting.status).toBe(200);
    expect(waiting.headers['upload-offset']).toBeUndefined();
    expect(waiting.headers['upload-length']).toBeUndefined();
    expect(waiting.headers['upload-concat']).toBe(`final;${first} ${second}`);

    const rest = bytes.subarray(half);
    await client.send(
      `PATCH ${second}`,
      [
        'Upload-Offset: 0',
        `Upload-Length: ${rest.length}`,
        'Content-Type: application/offset+octet-stream',
        `Content-Length: ${rest.length}`,
      ],
      rest,
    );
    const known = await client.head(final);
    expect(known.headers['upload-length']).toBe(String(bytes.length));
    expect(known.headers['upload-offset']).toBeUndefined();
    expect((await client.patch(first, 100_000, bytes.subarray(100_000, half))).status).toBe(204);
    const joined = await client.untilJoined(final);
    expect(joined.headers['upload-offset']).toBe(String(bytes.length));
    expect((await bytesOf(joined)).equals(bytes)).toBe(true);
  });

  test('a wrong digest of the final publishes nothing, and the partials can be joined again', async () => {
    const bytes = makeBytes(400_000, 45);
    const paths = [await client.partial(100_000, bytes.subarray(0, 100_000)), await client.partial(300_000)];
    await client.patch(paths[1] ?? '', 0, bytes.subarray(100_000));
    const wrong = await client.final(paths, [metadataOf({ md5: md5(makeBytes(1)) })]);
    expect(wrong).toMatchObject({ status: 460, code: 'digest_mismatch' });
    const right = await client.final(paths, [metadataOf({ md5: md5(bytes) })]);
    expect((await bytesOf(await client.untilJoined(client.pathOf(right)))).equals(bytes)).toBe(true);
  });

  test('the end of a partial ends the final that waits for it', async () => {
    const [first, second] = [await client.partial(10, makeBytes(10)), await client.partial(10, makeBytes(5))];
    const final = client.pathOf(await client.final([first, second]));
    expect((await client.send(`DELETE ${second}`)).status).toBe(204);
    const ended = await client.untilJoined(final);
    expect(ended.status).toBe(410);
    expect((await client.head(first)).status).toBe(200);
    for (const path of [first, second]) await client.send(`DELETE ${path}`);
    expect((await service.unfinished()).filter((name) => name.includes(idOf(final)))).toEqual([]);
  });
});

describe('rules of concatenation', () => {
  let service: RunningService;
  const ann = clientOf(() => service, 'ann-token');
  const bob = clientOf(() => service, 'bob-token');
  beforeAll(async () => {
    service = await startService({
      env: { AUTH_TOKENS: 'ann:ann-token,bob:bob-token', MAX_FILE_SIZE: '1000', MAX_OPEN_UPLOADS: '40' },
    });
  });
  afterAll(() => service.stop());

  test('OPTIONS announces it, with unfinished partials', async () => {
    const answer = await exchange(service.port, ['OPTIONS /uploads HTTP/1.1']);
    const extensions = (answer.headers['tus-extension'] ?? '').split(',');
    expect(extensions).toEqual(expect.arrayContaining(['concatenation', 'concatenation-unfinished']));
  });

  test('bytes of a final are not the client’s to send: 403', async () => {
    const partial = await ann.partial(5, makeBytes(5));
    const waiting = ann.pathOf(await ann.final([await ann.partial(5)]));
    const joined = ann.pathOf(await ann.final([partial]));
    for (const [path, offset] of [
      [waiting, 0],
      [joined, 0],
      [joined, 5],
    ] as const) {
      expect(await ann.patch(path, offset, makeBytes(5))).toMatchObject({ status: 403, code: 'upload_is_final' });
    }
    expect((await ann.head(joined)).headers['upload-offset']).toBe('5');
    expect((await ann.send(`DELETE ${waiting}`)).status).toBe(204);
    expect((await ann.head(waiting)).status).toBe(410);
  });

  test.each([
    ['Partial'],
    ['final'],
    ['final;'],
    ['final; '],
    ['partial;/uploads/a'],
    ['final;/files/a'],
    ['final;ftp://127.0.0.1/uploads/a'],
    ['final;/uploads/a?b'],
    ['final;/uploads/a/b'],
    ['final;/uploads/%61'],
    [`final;${Array.from({ length: 513 }, () => '/uploads/a').join(' ')}`],
  ])('%.40s is refused: 400', async (value) => {
    const answer = await ann.create([
      `Upload-Concat: ${value}`,
      ...(value.startsWith('p') ? ['Upload-Length: 1'] : []),
    ]);
    expect(answer).toMatchObject({ status: 400, code: 'invalid_field' });
    expect(answer.message).toContain('Upload-Concat');
  });

  test('10,000 partials are more than the headers of a request may hold: 400', async () => {
    const list = Array.from({ length: 10_000 }, () => '/uploads/00000000-0000-4000-8000-000000000000').join(' ');
    const answer = await ann.create([`Upload-Concat: final;${list}`]);
    expect(answer).toMatchObject({ status: 400, code: 'invalid_request' });
    expect(answer.message).toContain('bytes long');
  });

  test('a final has no length and no body of its own: 400', async () => {
    const partial = await ann.partial(5, makeBytes(5));
    for (const headers of [['Upload-Length: 5'], ['Upload-Defer-Length: 1']]) {
      expect(await ann.final([partial], headers)).toMatchObject({ status: 400, code: 'invalid_field' });
    }
    const type = 'Content-Type: application/offset+octet-stream';
    const body = await ann.create([`Upload-Concat: final;${partial}`, type], makeBytes(5));
    expect(body).toMatchObject({ status: 400, code: 'invalid_field' });
  });

  test('a final of a final, and of an ordinary upload: 400', async () => {
    const final = ann.pathOf(await ann.final([await ann.partial(3, makeBytes(3))]));
    const file = ann.pathOf(await ann.create(['Upload-Length: 3']));
    for (const path of [final, file]) {
      expect(await ann.final([path])).toMatchObject({ status: 400, code: 'not_partial' });
    }
  });

  test('what is another owner’s is as what was never there', async () => {
    const theirs = await bob.partial(5, makeBytes(5));
    const own = await ann.partial(5, makeBytes(5));
    const ended = await ann.partial(5, makeBytes(5));
    await ann.send(`DELETE ${ended}`);
    const answers = [];
    for (const path of [theirs, '/uploads/00000000-0000-4000-8000-000000000000', ended]) {
      const { status, code, message } = await ann.final([own, path]);
      answers.push({ status, code, message });
    }
    expect(answers[0]).toMatchObject({ status: 400, code: 'partial_not_found' });
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
    expect((await bob.head(theirs)).headers['upload-offset']).toBe('5');
  });

  test('addresses may be relative or absolute, by any name of the service', async () => {
    const bytes = makeBytes(5);
    const id = (await ann.partial(5, bytes)).slice('/uploads/'.length);
    for (const address of [
      `/uploads/${id}`,
      `uploads/${id}`,
      `http://127.0.0.1:${service.port}/uploads/${id}`,
      `https://files.example.org/base/uploads/${id}`,
      `//files.example.org/uploads/${id}`,
    ]) {
      const final = await ann.final([address]);
      expect(final.status).toBe(201);
      expect((await ann.head(ann.pathOf(final))).headers['upload-concat']).toBe(`final;${address}`);
    }
  });

  test('MAX_FILE_SIZE holds for the sum: 413, also where it is known late', async () => {
    const [first, second] = [await ann.partial(600), await ann.partial(401)];
    expect(await ann.final([first, second])).toMatchObject({ status: 413, code: 'too_large' });
    const deferred = ann.pathOf(await ann.create(['Upload-Concat: partial', 'Upload-Defer-Length: 1']));
    const final = ann.pathOf(await ann.final([first, deferred]));
    await ann.patch(first, 0, makeBytes(600));
    const late = await ann.send(
      `PATCH ${deferred}`,
      [
        'Upload-Offset: 0',
        'Upload-Length: 401',
        'Content-Type: application/offset+octet-stream',
        'Content-Length: 401',
      ],
      makeBytes(401),
    );
    expect(late.status).toBe(204);
    expect(await ann.untilJoined(final)).toMatchObject({ status: 410 });
    expect((await ann.head(first)).status).toBe(200);
  });

  test('partials and waiting finals are no points to resume at, and are not listed', async () => {
    const bytes = makeBytes(20, 7);
    const sum = md5(bytes);
    const answer = await ann.create([
      'Upload-Concat: partial',
      'Upload-Length: 20',
      metadataOf({ md5: sum, filename: 'x' }),
    ]);
    const partial = ann.pathOf(answer);
    await ann.final([partial], [metadataOf({ md5: sum, filename: 'x' })]);
    const check = await ann.send(`GET /check?md5=${sum}`);
    expect(JSON.parse(check.body)).toMatchObject({ status: 'notfound' });
    expect(check.body).not.toContain(partial.slice('/uploads/'.length));
    expect((await ann.head(partial)).headers['upload-metadata']).toBe(encodeMetadata({ md5: sum, filename: 'x' }));
  });

  test('they count among the open uploads of their owner', async () => {
    const carl = clientOf(() => service, 'bob-token');
    let refused: WireAnswer | undefined;
    for (let index = 0; index < 41 && !refused; index++) {
      const answer = await carl.create(['Upload-Concat: partial', 'Upload-Length: 1']);
      if (answer.status !== 201) refused = answer;
    }
    expect(refused).toMatchObject({ status: 429, code: 'too_many_uploads' });
  });
});
