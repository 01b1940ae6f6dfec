/** Every route that takes a number, with every kind of it: the right answer, and nothing left where it is refused. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningService, startService } from '../../harness/service.ts';
import { createUpload, patch, send, TUS } from '../../harness/tus.ts';
import { raw, storedNames } from '../support.ts';
import { countRows } from '../traces.ts';
import { ask } from './ask.ts';
import { ROUTES, rows, titleOf } from './routes.ts';
import { LIMIT, NO_LENGTHS, NO_NUMBERS, NUMBERS, SIZE_ROWS, type Outcome, type SizeRow } from './sizes.ts';
import { makeNamed, makeThing, nothing, SIZE, type Thing } from './things.ts';

let service: RunningService;
let thing: Thing;
beforeAll(async () => {
  service = await startService({ env: { MAX_FILE_SIZE: String(LIMIT) } });
  thing = await makeThing(service.url, {});
});
afterAll(() => service.stop());

async function traces(): Promise<unknown> {
  return { stored: await storedNames(service), ...countRows(service.dataDir) };
}

test('every route that takes a number is tried here', () => {
  const missing = rows(({ takes }) => takes.includes('sizes'))
    .map(([title]) => title)
    .filter((title) => !SIZE_ROWS.some(({ of }) => of.includes(title)));
  expect(
    missing.map((title) => `${title} is not tried: add the numbers that it takes to SIZE_ROWS in sizes.ts.`),
  ).toEqual([]);
});

async function expectOutcome(row: SizeRow, value: string, gets: Outcome): Promise<void> {
  // What is taken changes it.
  const about = typeof gets === 'number' ? await makeNamed(service.url, {}, (named) => row.ask(named, value)) : thing;
  const answer = await ask(
    service.url,
    row.ask(row.field === 'size' ? about : { ...about, ...bytesOf(nothing()) }, value),
  );
  expect([answer.status, ...(answer.code ? [answer.code] : [])], `${value}: ${answer.body}`).toEqual([gets].flat());
}

/** Fails if what is refused has left something. */
async function leavingNothing(action: () => Promise<void>): Promise<void> {
  const before = await traces();
  await action();
  await expect.poll(traces).toEqual(before);
}

function bytesOf({ bytes, name, md5, sha256 }: Thing): Pick<Thing, 'bytes' | 'name' | 'md5' | 'sha256'> {
  return { bytes, name, md5, sha256 };
}

describe.each(SIZE_ROWS.map((row) => [`${row.of[0]} by ${row.field}`, row] as const))('%s', (_, row) => {
  const isText = !row.field.startsWith('the bytes of a ');
  const numbers = isText ? NUMBERS : NUMBERS.filter((value) => value <= 2 * LIMIT);
  const taken = numbers.filter((value) => typeof row.gets(value) === 'number');
  test(`takes ${taken.join(', ') || 'none'}`, async () => {
    for (const value of taken) await expectOutcome(row, String(value), row.gets(value));
  });

  const refused = numbers.filter((value) => !taken.includes(value));
  test(`refuses ${refused.join(', ') || 'none'}`, async () => {
    await leavingNothing(async () => {
      for (const value of refused) await expectOutcome(row, String(value), row.gets(value));
    });
  });

  // Header values are bytes: a digit of another script does not fit.
  const texts = NO_NUMBERS.filter((text) => row.field === 'size' || row.field === 'limit' || !/[^ -~]/.test(text));
  test.each(isText ? [texts] : [])('refuses what is no number', async () => {
    await leavingNothing(async () => {
      for (const text of texts) await expectOutcome(row, text, [400, 'invalid_field']);
    });
  });
});

describe('a deferred length', () => {
  const values: [string, Outcome][] = [
    ...NUMBERS.map((value): [string, Outcome] => [
      String(value),
      value > LIMIT
        ? [413, 'too_large']
        : value < SIZE / 2
          ? [400, 'invalid_field']
          : value === SIZE / 2
            ? [413, 'too_large']
            : 204,
    ]),
    ...NO_NUMBERS.filter((text) => !/[^ -~]/.test(text)).map((text): [string, Outcome] => [
      text,
      [400, 'invalid_field'],
    ]),
  ];
  test.each(values)('declared by PATCH as %j gets %j', async (value, gets) => {
    const created = await ask(service.url, {
      method: 'POST',
      path: '/uploads',
      headers: { ...TUS, 'Upload-Defer-Length': '1' },
    });
    const location = created.headers.location ?? '';
    await patch(location, 0, Buffer.alloc(SIZE / 2));
    const before = await traces();
    const path = new URL(location).pathname;
    const answer = await ask(service.url, {
      method: 'PATCH',
      path,
      headers: {
        ...TUS,
        'Content-Type': 'application/offset+octet-stream',
        'Upload-Offset': String(SIZE / 2),
        'Upload-Length': value,
      },
      body: 'x',
    });
    expect([answer.status, ...(answer.code ? [answer.code] : [])], answer.body).toEqual([gets].flat());
    if (typeof gets === 'number') return;
    await expect.poll(traces).toEqual(before);
    const { headers } = await send('HEAD', location, { headers: TUS });
    expect([headers['upload-offset'], headers['upload-defer-length']]).toEqual([String(SIZE / 2), '1']);
  });
});

/** Rows that read a body, each with one that is right. */
const WITH_BODY = ROUTES.filter((route) => route.ask(nothing()).body !== undefined && route.status < 400);

function headOf(route: (typeof ROUTES)[number], about: Thing, length: string): { head: string; body: Buffer } {
  const { path, headers = {}, body = '' } = route.ask(about);
  const lines = Object.entries({ ...headers, Host: 'localhost', 'Content-Length': length }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return { head: `${route.method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, body: Buffer.from(body as Uint8Array) };
}

describe('a Content-Length that is none', () => {
  test.each(WITH_BODY.map((route) => [titleOf(route), route] as const))('%s refuses it', async (_, route) => {
    await leavingNothing(async () => {
      for (const length of NO_LENGTHS) {
        const { head } = headOf(route, { ...thing, ...bytesOf(nothing()) }, length);
        const answer = await raw(service, head);
        expect(answer, length).toMatch(/^HTTP\/1\.1 400 /);
        const body: unknown = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')));
        expect(body, length).toMatchObject({ error: { code: 'invalid_request' } });
      }
    });
  });
});

describe('a body that ends before its Content-Length', () => {
  test.each(WITH_BODY.map((route) => [titleOf(route), route] as const))(
    '%s leaves nothing but what can be resumed',
    async (_, route) => {
      const about = await makeNamed(service.url, {}, (named) => [route.ask(named), named.fileId]);
      const asked = { ...about, ...bytesOf(nothing()) };
      const before = (await traces()) as { contents: number; files: number; receiving: number; stored: string[] };
      const { body } = headOf(route, asked, '0');
      const { head } = headOf(route, asked, String(body.length));
      const sent = Buffer.concat([Buffer.from(head), body.subarray(0, -1)]);
      await new Promise<void>((resolve) => {
        const socket = connect(service.port, '127.0.0.1', () => socket.end(sent));
        socket.on('error', () => undefined).on('close', () => resolve());
        socket.resume();
      });
      // A resumable upload whose creation broke is there, with what arrived, until it expires.
      const isUpload = route.path === '/uploads' || (route.path.startsWith('/s/') && route.status === 201);
      await expect.poll(traces).toEqual({
        ...before,
        receiving: before.receiving + (isUpload ? 1 : 0),
        stored: isUpload ? expect.anything() : before.stored,
      });
      const file = await ask(service.url, { method: 'GET', path: `/api/files/${about.fileId}` });
      expect(JSON.parse(file.body)).toMatchObject({ name: about.name });
    },
  );
});

describe('an upload of a wrong length', () => {
  test('is not finished while bytes are missing, and takes none that are too many', async () => {
    const location = await createUpload(service.url, SIZE);
    const { bytes } = nothing();
    expect((await patch(location, 0, bytes.subarray(0, SIZE - 1))).status).toBe(204);
    const answer = await patch(location, SIZE - 1, 'xx');
    expect([answer.status, answer.code]).toEqual([413, 'too_large']);
    const head = await send('HEAD', location, { headers: TUS });
    expect(head.headers['upload-offset']).toBe(String(SIZE - 1));
    expect(head.headers).not.toHaveProperty('tidemark-file-id');
  });
});
