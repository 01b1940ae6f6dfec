/** Requests that change the same things at once, by one node and by three: each has an answer, and there is one truth. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FilePageJson } from '../../server/wire/files.ts';
import type { TrashPageJson } from '../../server/wire/trash.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type Answer, encodeMetadata, send, TUS } from '../harness/tus.ts';
import { bearer, json, putFile } from '../http/support.ts';
import { GROUNDS, type Reached, THREE_NODES } from './in-turn.ts';

/** With three nodes more can come in between. `TIDEMARK_ROUNDS=1000` plays so many with either. */
const ROUNDS = { one: 12, several: 20 };
const JSON_TYPE = { 'Content-Type': 'application/json' };
const ANNA = bearer('annas-secret-1');

/** Of a quota, for twice as many clients as it has room for: what could go wrong goes wrong at its end, so there are several. */
const ROOM = 6;
const SIZE = 3_000;
const QUOTAS = { files: `files=${ROOM}`, bytes: `bytes=${ROOM * SIZE}` };
const LIMITED = Object.entries(QUOTAS).flatMap(([kind, quota]) =>
  Array.from({ length: 8 }, (_, index) => ({ kind, owner: `${kind}-${index}`, quota })),
);

const ENV = {
  AUTH_TOKENS: ['anna:annas-secret-1', ...LIMITED.map(({ owner }) => `${owner}:secret-of-${owner}`)].join(),
  QUOTAS: LIMITED.map(({ owner, quota }) => `${owner}:${quota}`).join(),
  TRASH_TTL: '7d',
  LOG_LEVEL: 'warn',
};

describe.each(GROUNDS)('at once by $title', ({ title, isHere, open }) => {
  describe.skipIf(!isHere)('here', () => {
    let reached: Reached;
    let rounds: number;
    beforeAll(async () => {
      reached = await open(ENV);
      rounds = Number(process.env['TIDEMARK_ROUNDS'] ?? (reached.urls.length > 1 ? ROUNDS.several : ROUNDS.one));
    });
    afterAll(() => reached?.stop());

    function ask(method: string, path: string, body?: object): Promise<Answer> {
      const options = body ? { headers: { ...ANNA, ...JSON_TYPE }, body: JSON.stringify(body) } : { headers: ANNA };
      return send(method, reached.url + path, options);
    }

    function upload(name: string, bytes: Uint8Array | string, { at = reached.url, who = ANNA } = {}): Promise<Answer> {
      return send('POST', `${at}/uploads`, {
        headers: {
          ...TUS,
          ...who,
          'Upload-Length': String(Buffer.byteLength(bytes)),
          'Upload-Metadata': encodeMetadata({ filename: name }),
          'Content-Type': 'application/offset+octet-stream',
        },
        body: bytes,
      });
    }

    async function listed(): Promise<FilePageJson['files']> {
      return json<FilePageJson>(await ask('GET', '/api/files?recursive=true&prefix=&limit=1000')).files;
    }

    async function trashed(): Promise<TrashPageJson['files']> {
      return json<TrashPageJson>(await ask('GET', '/api/trash?limit=1000')).files;
    }

    /** Every file is whole, by its id. */
    async function expectReadable(files: FilePageJson['files']): Promise<void> {
      for (const file of files) {
        const { status, body } = await ask('GET', `/api/files/${file.id}/content`);
        expect([status, md5(Buffer.from(body))]).toEqual([200, file.md5]);
      }
    }

    /** Removes what a round has left, for good. */
    async function clear(left: FilePageJson['files']): Promise<void> {
      for (const { id } of left) expect((await ask('DELETE', `/api/files/${id}`)).status).toBe(204);
      expect((await ask('DELETE', '/api/trash?all=true')).status).toBe(200);
    }

    async function expectNothingLeft(): Promise<void> {
      expect([await listed(), await trashed()]).toEqual([[], []]);
    }

    test('one file is restored twice: both are told of it, and it is there once', async () => {
      for (let round = 0; round < rounds; round++) {
        const name = `${round % 2 ? 'f/' : ''}${round}.txt`;
        const { fileId } = await putFile(reached.url, `text ${round}`, { filename: name }, ANNA);
        await ask('DELETE', `/api/files/${fileId}`);
        const answers = await Promise.all(
          Array.from({ length: 4 }, () => ask('POST', '/api/trash/restore', { files: [fileId] })),
        );
        for (const answer of answers) {
          expect([answer.status, json<{ restored: { id: string; name: string }[] }>(answer).restored]).toMatchObject([
            200,
            [{ id: fileId, name }],
          ]);
        }
        const files = await listed();
        expect(files.map(({ id }) => id)).toEqual([fileId]);
        await expectReadable(files);
        await clear(files);
      }
      await expectNothingLeft();
    });

    test('one is restored and deleted for good: one of both, and it is whole or gone', async () => {
      for (let round = 0; round < rounds; round++) {
        const { fileId } = await putFile(reached.url, `text ${round}`, { filename: 'f/x.txt' }, ANNA);
        await ask('DELETE', `/api/files/${fileId}`);
        const restore = (): Promise<Answer> => ask('POST', '/api/trash/restore', { files: [fileId] });
        const purge = (): Promise<Answer> => ask('DELETE', `/api/trash?id=${fileId}`);
        const order = round % 2 ? [restore, purge] : [purge, restore];
        const statuses = (await Promise.all(order.map((run) => run()))).map(({ status }) => status);
        expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 404]);
        const isRestored = statuses[order.indexOf(restore)] === 200;
        const files = await listed();
        expect(files.map(({ id }) => id)).toEqual(isRestored ? [fileId] : []);
        await expectReadable(files);
        await clear(files);
      }
      await expectNothingLeft();
    });

    test('a folder is deleted, moved, and filled: each upload is there or in the trash, once, and whole', async () => {
      for (let round = 0; round < rounds; round++) {
        for (const name of ['f/a', 'f/g/b']) await putFile(reached.url, `${name} ${round}`, { filename: name }, ANNA);
        const answers = await Promise.all([
          ask('DELETE', '/api/folders?path=f'),
          upload('f/new', `new ${round}`),
          ask('PATCH', '/api/folders?path=f', { path: 'h' }),
          upload('f/g/new', `deep ${round}`),
        ]);
        const statuses = answers.map(({ status }) => status);
        expect([statuses[1], statuses[3]], answers.map(({ body }) => body).join()).toEqual([201, 201]);
        for (const at of [0, 2]) expect([200, 404]).toContain(statuses[at]);
        const [files, gone] = [await listed(), await trashed()];
        const texts = ['f/a', 'f/g/b', 'new', 'deep'].map((text) => md5(Buffer.from(`${text} ${round}`)));
        expect([...files, ...gone].map((file) => file.md5).toSorted()).toEqual(texts.toSorted());
        expect([...files, ...gone].filter(({ name }) => !/^[fh]\/(?:g\/)?(?:a|b|new)$/.test(name))).toEqual([]);
        await expectReadable(files);
        await clear(files);
      }
      await expectNothingLeft();
    });

    // By one: http/quota.
    test.each(title === THREE_NODES.title ? Object.keys(QUOTAS) : [])(
      `a quota of %s for ${ROOM} lets in ${ROOM} of ${2 * ROOM} clients`,
      async (kind) => {
        const { urls } = reached;
        for (const { owner } of LIMITED.filter((each) => each.kind === kind)) {
          const who = bearer(`secret-of-${owner}`);
          const answers = await Promise.all(
            Array.from({ length: 2 * ROOM }, (_, index) => {
              const at = urls[index % urls.length] ?? '';
              return upload(`${index}.bin`, makeBytes(SIZE, 76_000 + index), { at, who });
            }),
          );
          expect(answers.filter(({ status }) => status === 201)).toHaveLength(ROOM);
          for (const answer of answers.filter(({ status }) => status !== 201))
            expect([answer.status, answer.code]).toEqual([413, 'over_quota']);
          for (const url of urls) {
            const page = await send('GET', `${url}/api/quota`, { headers: who });
            expect(json(page)).toMatchObject({
              files: { used: ROOM },
              bytes: { used: ROOM * SIZE },
              openUploads: { used: 0 },
            });
          }
        }
      },
    );
  });
});
